/* Callbacks that stay in the browser: the address as the memory of every view, titles, focus, copying, keys. */
(function () {
  "use strict";
  const nothing = () => window.dash_clientside.no_update;

  /* Changes parts of the query without a visit: null or "" removes a part. With `step` the browser's Back leads to
     the address as it was before. */
  function remember(parts, step) {
    const query = new URLSearchParams(window.location.search);
    for (const [name, value] of Object.entries(parts)) {
      if (value === null || value === undefined || value === "") query.delete(name);
      else query.set(name, value);
    }
    const text = query.toString();
    const address = window.location.pathname + (text ? "?" + text : "");
    if (address === window.location.pathname + window.location.search) return nothing();
    if (step) window.history.pushState({}, "", address);
    else window.history.replaceState(window.history.state, "", address);
    return nothing();
  }

  function visit(href) {
    window.history.pushState({}, "", href);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    window.scrollTo(0, 0);
  }

  /* A row of links that is wider than a phone begins where somebody is. */
  function inSight(link) {
    const row = link.parentElement;
    row.scrollLeft = link.offsetLeft - row.offsetLeft - (row.clientWidth - link.offsetWidth) / 2;
  }

  function say(text) {
    window.dash_clientside.set_props("notice", { children: text });
    window.clearTimeout(say.timer);
    say.timer = window.setTimeout(() => window.dash_clientside.set_props("notice", { children: "" }), 2500);
  }

  /* The address as the server is asked for it. A step back tells of itself twice, through Dash and through the browser,
     and between views of one page Dash may not notice it at all: so the browser's word counts, once. */
  let asked = { text: null, at: 0 };

  function where(again) {
    const text = window.location.pathname + window.location.search;
    if (!again && text === asked.text && performance.now() - asked.at < 300) return null;
    asked = { text, at: performance.now() };
    return { pathname: window.location.pathname, search: window.location.search };
  }

  window.addEventListener("popstate", () => {
    const visit = where();
    if (visit && window.dash_clientside.set_props) window.dash_clientside.set_props("visit", { data: visit });
  });

  let arrived = false;

  /* Every file adds its own functions: which is loaded first does not matter. */
  const clientside = (window.dash_clientside = window.dash_clientside || {});
  clientside.expertscope = Object.assign(clientside.expertscope || {}, {
    locate() {
      const again = window.dash_clientside.callback_context.triggered.some((t) => t.prop_id === "page-reload.data");
      return where(again) || nothing();
    },

    arrive(page) {
      document.title = page.title;
      for (const link of document.querySelectorAll(".main-nav a")) {
        if (link.id === "nav-" + page.section) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      }
      for (const here of document.querySelectorAll('.places [aria-current="page"], .run-tab.current')) inSight(here);
      if (arrived && document.activeElement === document.body) document.getElementById("content").focus({ preventScroll: true });
      arrived = true;
      return nothing();
    },

    rememberNewRun(model, prompts, preset, seed, kind, experts, mode, window_, detector, ...tuned) {
      const masks = kind === "mask", tunes = kind === "tune", own = { kind: kind === "audit" ? null : kind };
      own.experts = masks || tunes ? experts : null;
      own.mode = masks ? mode : null;
      own.window = masks ? window_ : null;
      own.detector = kind === "detect" ? detector : null;
      ["direction", "recipe", "rank", "steps", "controls"].forEach((name, at) => (own[name] = tunes ? tuned[at] : null));
      own.points = tuned[5];
      return remember({ model, prompts, preset, seed, ...own });
    },

    /* The fields that only one kind of run has. */
    showOwn(kind) {
      return "own own-" + kind + " stack-2";
    },

    openRow(cell) {
      if (cell && cell.colId !== "name" && cell.colId !== "mark") {
        const at = window.location.pathname.replace(/\/experts\/?$/, "/experts/");
        const place = /^L(\d+)·E(\d+)$/.exec(cell.rowId || "");
        if (place) visit(at + place[1] + "/" + place[2]);
      }
      return nothing();
    },
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("#copy-link");
    if (!button) return;
    navigator.clipboard.writeText(window.location.href).then(
      () => say("Link copied"),
      () => say("The browser did not allow copying; the address bar has the link"),
    );
  });

  /* One key labels an answer under review, unless somebody is typing. */
  const review = { r: "#review-refusal", p: "#review-partial", c: "#review-compliance", d: "#review-degenerate", b: "#review-back", n: "#review-skip", s: ".review-show" };
  document.addEventListener("keydown", (event) => {
    const name = review[event.key.toLowerCase()];
    if (!name || event.ctrlKey || event.metaKey || event.altKey || event.repeat || !document.getElementById("review-card")) return;
    if (event.target.closest("input:not([type=radio]):not([type=file]), textarea, select, [contenteditable]")) return;
    const button = document.querySelector(name);
    if (button && !button.disabled) button.click();
  });

  /* Enter on a cell of a grid opens its row, as a click does. */
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.classList.contains("ag-cell")) return;
    const row = event.target.closest(".ag-row").getAttribute("row-index");
    const link = event.target.closest(".ag-root").querySelector(`.ag-row[row-index="${row}"] a.row-link`);
    if (link) link.click();
  });

  /* The file input inside dcc.Upload has no label of its own, and its component gives no way to add one. */
  new MutationObserver(() => {
    const input = document.querySelector(".drop input[type=file]:not([aria-label])");
    if (input) input.setAttribute("aria-label", input.closest("#labels-upload") ? "File of labelled answers" : "Prompt file");
  }).observe(document.documentElement, { childList: true, subtree: true });

  window.expertscopeVisit = visit;
  window.expertscope = Object.assign(window.expertscope || {}, { visit, remember, say });
})();
