/* One layer of a run, chosen once and marked everywhere: `layer=` in the address, a band in every chart whose figure names
   its axes of layers (meta.layer_axes), rows and buttons with data-layer. */
(function () {
  "use strict";
  const INK = "#767e8c";
  const get = () => new URLSearchParams(window.location.search).get("layer");
  const metaOf = (plot) => (plot.layout && plot.layout.meta) || {};

  function band(plot, layer) {
    const { layer_axes: axes, layers } = metaOf(plot);
    if (!axes || layer === null || !(layers || []).map(String).includes(layer)) return [];
    const box = { type: "rect", name: "layer", yref: "paper", y0: 0, y1: 1, x0: +layer - 0.5, x1: +layer + 0.5, layer: "below" };
    return axes.map((xref) => ({ ...box, xref, fillcolor: "rgba(118,126,140,0.2)", line: { color: INK, width: 1 } }));
  }

  function paint(plot, layer) {
    if (!metaOf(plot).layer_axes) return;
    const shapes = plot.layout.shapes || [], others = shapes.filter((shape) => shape.name !== "layer"), own = band(plot, layer);
    const same = shapes.length - others.length === own.length && (!own.length || shapes.some((shape) => shape.name === "layer" && shape.x0 === own[0].x0));
    if (!same) window.Plotly.relayout(plot, { shapes: [...others, ...own] });
  }

  function tell() {
    const layer = get();
    for (const row of document.querySelectorAll("tr[data-layer]")) row.classList.toggle("lit", row.dataset.layer === layer);
    for (const button of document.querySelectorAll("button[data-layer]")) button.setAttribute("aria-pressed", String(button.dataset.layer === layer));
    for (const plot of document.querySelectorAll(".graph-box .js-plotly-plot")) if (plot._fullLayout) paint(plot, layer);
  }

  /* A page with a choice of layers hears of it there, and its callback goes on. */
  function choose(layer) {
    const next = layer === get() ? null : layer;
    if (document.getElementById("topics-layer")) {
      window.dash_clientside.set_props("topics-layer", { value: next === null ? "mean" : next });
    } else {
      window.expertscope.remember({ layer: next }, true);
      window.expertscope.selection.tell(); // who draws rings looks again
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("button[data-layer]");
    if (button) choose(button.dataset.layer);
  });

  document.addEventListener("expertscope:chart", ({ detail: plot }) => {
    if (metaOf(plot).layer_axes) {
      plot.on("plotly_click", (event) => event.points && event.points[0] && choose(String(event.points[0].x)));
      plot.on("plotly_afterplot", () => window.requestAnimationFrame(() => paint(plot, get())));
    }
    tell();
  });
  document.addEventListener("expertscope:selection", tell);
  window.addEventListener("popstate", tell);

  const clientside = (window.dash_clientside = window.dash_clientside || {});
  clientside.expertscope = Object.assign(clientside.expertscope || {}, {
    rememberTopics(prompts, layer) {
      const parts = { prompts: prompts === "benign" ? null : prompts, layer: layer === "mean" ? null : layer };
      const nothing = window.expertscope.remember(parts, true);
      tell();
      return nothing;
    },
  });
})();
