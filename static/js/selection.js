/* The selection that every view of a run shares: experts, a topic, a label, a prompt. It lives in the address; here it is
   changed, shown in the bar under the tabs, carried along to other views of the run, and told to whoever draws. */
(function () {
  "use strict";
  const NAMES = ["sel", "topic", "label", "prompt"];
  const MOST = 200;
  const runOf = (path) => (/^\/ui\/runs\/([^/]+)/.exec(path) || [])[1];

  function get() {
    const query = new URLSearchParams(window.location.search);
    const experts = (query.get("sel") || "").split(",").map((part) => part.replace(":", ".")).filter((part) => /^\d+\.\d+$/.test(part));
    return { experts: [...new Set(experts)], topic: query.get("topic"), label: query.get("label"), prompt: query.get("prompt") };
  }

  function set(parts) {
    const changed = { ...parts };
    if ("experts" in changed) {
      if (changed.experts.length > MOST) window.expertscope.say(`The first ${MOST} of ${changed.experts.length} are selected`);
      changed.sel = changed.experts.slice(0, MOST).join(",");
      delete changed.experts;
    }
    window.expertscope.remember(changed, true);
    tell();
  }

  function toggle(place) {
    const { experts } = get();
    set({ experts: experts.includes(place) ? experts.filter((one) => one !== place) : [...experts, place] });
  }

  const clear = () => set({ experts: [], topic: null, label: null, prompt: null });
  const select = (places) => set({ experts: places });

  function make(tag, properties, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  const placeName = (place) => "L" + place.replace(".", "·E");

  function chip(text, what, remove, className) {
    const cross = make("button", { type: "button", className: "chip-remove", onclick: remove }, "✕");
    cross.setAttribute("aria-label", `Deselect ${what}`);
    return make("span", { className: "chip selection-chip " + (className || "") }, text, cross);
  }

  function expertChips(experts, base) {
    const shown = experts.slice(0, 6).map((place) => {
      const link = make("a", { href: `${base}/experts/${place.replace(".", "/")}`, className: "num" }, placeName(place));
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        window.expertscope.visit(carry(link.pathname));
      });
      return chip(link, placeName(place), () => toggle(place));
    });
    if (experts.length > 6) shown.push(make("span", { className: "dim" }, `and ${experts.length - 6} more`));
    return shown;
  }

  /* New runs of what is selected, as the form takes it. */
  function actions(bar, experts) {
    if (!experts.length || !bar.dataset.model) return [];
    return [["mask", "Mask"], ["tune", "Tune"]].map(([kind, verb]) => {
      const query = new URLSearchParams({ model: bar.dataset.model, prompts: bar.dataset.prompts, kind, experts: experts.map((e) => e.replace(".", ":")).join(",") });
      return make("a", { href: `/ui/runs/new?${query}`, className: "button small" }, `${verb} ${experts.length === 1 ? "it" : "them"}`);
    });
  }

  function count(state) {
    const experts = state.experts.length;
    return [experts ? `${experts} expert${experts === 1 ? "" : "s"}` : null, state.topic ? `topic: ${state.topic}` : null, state.label, state.prompt ? `prompt ${state.prompt}` : null].filter(Boolean).join(" · ");
  }

  function show(state) {
    const bar = document.getElementById("selection-bar");
    if (!bar) return;
    const empty = !count(state);
    bar.hidden = empty;
    bar.replaceChildren();
    if (empty) return;
    const chips = expertChips(state.experts, "/ui/runs/" + runOf(window.location.pathname));
    if (state.topic) chips.push(chip(state.topic, "the topic", () => set({ topic: null }), "topic"));
    if (state.label) chips.push(chip(state.label, "the label", () => set({ label: null }), state.label));
    if (state.prompt) chips.push(chip(`prompt ${state.prompt}`, "the prompt", () => set({ prompt: null })));
    const drop = make("button", { type: "button", className: "button quiet small", onclick: clear }, "Clear");
    drop.setAttribute("aria-label", "Clear the selection");
    bar.append(make("strong", {}, "Selected"), ...chips, make("span", { className: "push row" }, ...actions(bar, state.experts), drop));
  }

  /* The address with the selection, unless it already names another one. */
  function carry(address) {
    const url = new URL(address, window.location.href);
    const now = new URLSearchParams(window.location.search);
    if (!NAMES.some((name) => url.searchParams.has(name))) {
      for (const name of NAMES) if (now.get(name)) url.searchParams.set(name, now.get(name));
    }
    return url.pathname + url.search;
  }

  function tell() {
    const state = get();
    show(state);
    for (const link of document.querySelectorAll("a.run-tab")) {
      link.setAttribute("href", carry(link.pathname));
    }
    document.dispatchEvent(new CustomEvent("expertscope:selection", { detail: state }));
    if (window.dash_clientside.set_props) window.dash_clientside.set_props("selection", { data: state });
  }

  /* A link to another view of this run takes the selection along. */
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("#content a[href]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (link.target || link.hasAttribute("download") || link.origin !== window.location.origin) return;
    const run = runOf(window.location.pathname);
    if (!run || run === "new" || runOf(link.pathname) !== run) return;
    const address = carry(link.pathname + link.search);
    if (address === link.pathname + link.search && !link.classList.contains("run-tab")) return;
    event.preventDefault();
    event.stopPropagation();
    window.expertscope.visit(address);
  }, true);

  /* Something with data-select="topic:banking", "label:harmful" or "expert:1.7" selects that, or lets go of it. */
  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("button[data-select]");
    if (!button) return;
    const at = button.dataset.select.indexOf(":");
    const [part, value] = [button.dataset.select.slice(0, at), button.dataset.select.slice(at + 1)];
    if (part === "expert") toggle(value);
    else set({ [part]: get()[part] === value ? null : value });
  });

  /* Something with data-experts="1.7,2.5" selects them all. */
  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("button[data-experts]");
    if (button) select(button.dataset.experts.split(","));
  });

  document.addEventListener("expertscope:selection", ({ detail }) => {
    for (const button of document.querySelectorAll("button[data-select]")) {
      const at = button.dataset.select.indexOf(":");
      const [part, value] = [button.dataset.select.slice(0, at), button.dataset.select.slice(at + 1)];
      const on = part === "expert" ? detail.experts.includes(value) : detail[part] === value;
      button.setAttribute("aria-pressed", String(on));
    }
    for (const marked of document.querySelectorAll("[data-place]")) {
      marked.classList.toggle("lit", detail.experts.includes(marked.dataset.place));
    }
  });

  /* A step back to another selection of the same page leaves the bar's element where it is. */
  window.addEventListener("popstate", () => window.requestAnimationFrame(tell));

  /* A page is told of the selection once it is there, which may be a little after its callback has ended. */
  let told = null;
  new MutationObserver(() => {
    const bar = document.getElementById("selection-bar");
    if (bar && bar !== told) window.requestAnimationFrame(tell);
    told = bar;
  }).observe(document.documentElement, { childList: true, subtree: true });

  window.expertscope = Object.assign(window.expertscope || {}, { select, selection: { get, set, toggle, clear, carry, tell } });
})();
