/* The tokens page: arrow keys move from token to token, and a token tells which experts worked on it. */
(function () {
  "use strict";
  const nothing = () => window.dash_clientside.no_update;
  let known = null;

  const clientside = (window.dash_clientside = window.dash_clientside || {});
  clientside.expertscope = Object.assign(clientside.expertscope || {}, {
    knowTokens(details) {
      known = details;
      return nothing();
    },

    rememberTokens(prompt, by, expert, position, about) {
      const parts = { prompt, by, layer: position ? about.layers[position - 1] : null };
      if (by === "expert" && expert) parts.sel = selected(expert);
      return window.expertscope.remember(parts);
    },
  });

  /* The expert first, then whatever else was selected already. */
  function selected(expert) {
    const before = (new URLSearchParams(window.location.search).get("sel") || "").split(",").filter(Boolean);
    return [expert, ...before.slice(1).filter((one) => one !== expert)].join(",");
  }

  const chip = (event) => event.target.closest && event.target.closest("button.tok");

  function tell(button) {
    const [column, at] = button.dataset.at.split(".").map(Number);
    const line = document.getElementById("token-detail-" + column);
    const found = known && known.columns[column] && known.columns[column][at];
    if (!line || !found) return;
    const [part, value, experts] = found;
    const worth = value === null ? "generated last and never routed" : known.unit + " " + value;
    line.replaceChildren(strong(button.textContent), " " + part + ": " + worth + (experts.length ? ". Worked on by " : "."));
    experts.forEach(([layer, expert, weight, share], i) => {
      if (i) line.append(", ");
      line.append(link(layer, expert), " " + share + " (" + weight + ")");
    });
    for (const one of document.querySelectorAll(".tok.current")) one.classList.remove("current");
    button.classList.add("current");
  }

  function strong(text) {
    const element = document.createElement("code");
    element.className = "token";
    element.textContent = text;
    return element;
  }

  function link(layer, expert) {
    const element = document.createElement("a");
    element.href = known.base + layer + "/" + expert;
    element.textContent = "L" + layer + "·E" + expert;
    return element;
  }

  document.addEventListener("focusin", (event) => chip(event) && tell(chip(event)));
  document.addEventListener("click", (event) => {
    const inside = event.target.closest && event.target.closest(".token-detail a");
    if (inside && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      window.expertscope.visit(inside.getAttribute("href"));
    }
  });
  document.addEventListener("mouseover", (event) => chip(event) && tell(chip(event)));

  /* One token of a column takes part in the order of Tab; the arrow keys go on from it. */
  document.addEventListener("keydown", (event) => {
    const from = chip(event);
    if (!from || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = [...from.closest(".token-column").querySelectorAll("button.tok")];
    const to = neighbour(all, from, event.key);
    if (!to) return;
    event.preventDefault();
    from.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  });

  function neighbour(all, from, key) {
    const at = all.indexOf(from);
    if (key === "ArrowRight") return all[at + 1];
    if (key === "ArrowLeft") return all[at - 1];
    if (key === "Home") return all[0];
    if (key === "End") return all[all.length - 1];
    if (key === "ArrowDown") return nearest(all.slice(at + 1), from, (one, here) => one.top >= here.bottom - 2);
    if (key === "ArrowUp") return nearest(all.slice(0, at).reverse(), from, (one, here) => one.bottom <= here.top + 2);
    return null;
  }

  /* The token of the next line, up or down, that stands closest to this one's middle. */
  function nearest(candidates, from, beyond) {
    const here = from.getBoundingClientRect();
    const middle = here.left + here.width / 2;
    let best = null, line = null, least = Infinity;
    for (const one of candidates) {
      const box = one.getBoundingClientRect();
      if (!beyond(box, here)) continue;
      if (line !== null && Math.abs(box.top - line) > 4) break;
      line = box.top;
      const away = Math.abs(box.left + box.width / 2 - middle);
      if (away < least) [best, least] = [one, away];
    }
    return best;
  }
})();
