/* The routing page: what is chosen stands in the address, a cell opens its expert, a layer's row is ringed, T swaps views. */
(function () {
  "use strict";
  const nothing = () => window.dash_clientside.no_update;
  const STANDARD = { quantity: "frequency", window: "prompt", order: "index", view: "picture" };
  const remember = (parts, step) => window.expertscope.remember(parts, step);
  const asked = (name) => new URLSearchParams(window.location.search).get(name);

  const clientside = (window.dash_clientside = window.dash_clientside || {});
  clientside.expertscope = Object.assign(clientside.expertscope || {}, {
    showView(view) {
      return [view !== "picture", view !== "topics", view !== "table"];
    },

    /* Without a group in the address the page begins with the selected topic and label, so that "all" is written down
       as soon as there are any. */
    rememberRouting(quantity, group, minus, window_, order, view, opened) {
      const parts = { quantity, group, minus: quantity === "difference" || minus === "none" ? null : minus, window: window_, order, view };
      for (const name of Object.keys(STANDARD)) if (parts[name] === STANDARD[name]) parts[name] = null;
      if (group === "all" && !asked("topic") && !asked("label")) parts.group = null;
      if (!opened) parts.expert = null;
      return remember(parts, true);
    },

    /* The table asks for its rows anew when other cells are chosen. */
    refreshCells() {
      if (document.getElementById("routing-table")) {
        window.dash_ag_grid.getApiAsync("routing-table").then((api) => api.purgeInfiniteCache());
      }
      return nothing();
    },
  });

  /* A cell that is clicked is selected (lit.js, which comes first) and opened: one step for Back. */
  document.addEventListener("expertscope:chart", ({ detail: plot }) => {
    if (!plot.closest("#routing-heatmap")) return;
    plot.on("plotly_click", (event) => {
      const place = window.expertscope.placeOf(plot, event.points[0]);
      if (!place) return;
      remember({ expert: place });
      window.dash_clientside.set_props("routing-open", { data: { place, at: Date.now() } });
    });
  });

  document.addEventListener("expertscope:selection", () => {
    if (!document.getElementById("routing-table") || !window.dash_ag_grid) return;
    window.dash_ag_grid.getApiAsync("routing-table").then((api) => api.redrawRows());
  });

  /* T swaps picture and table, unless somebody is typing. */
  document.addEventListener("keydown", (event) => {
    if (event.key !== "t" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not([type=radio]), textarea, select, [contenteditable]")) return;
    const table = document.getElementById("routing-numbers");
    if (table) window.dash_clientside.set_props("routing-view", { value: table.hidden ? "table" : "picture" });
  });
})();
