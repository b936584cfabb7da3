/* How charts show the selection and change it. A figure says in its layout's meta what its marks are (app/figures):
   "expert-cells" and "expert-dots" are experts, "topic-cells" and "topic-bars" topics, "topic-panels" one panel a topic. */
(function () {
  "use strict";
  const INK = "#15181d";
  const kindOf = (plot) => ((plot.layout || {}).meta || {}).lights; // a plot that left the page has no layout
  const drawn = () => document.querySelectorAll(".graph-box .js-plotly-plot");
  const selection = () => window.expertscope.selection;

  /* A dark ring on a white one, which shows on every colour and in either theme. */
  function ring(x0, x1, y0, y1, axes) {
    const box = { type: "rect", x0, x1, y0, y1, xref: (axes && axes[0]) || "x", yref: (axes && axes[1]) || "y", name: "lit" };
    return [{ ...box, line: { color: "#ffffff", width: 5 } }, { ...box, line: { color: INK, width: 2.5 } }];
  }

  /* Half the side of a ring, in cells, which leaves the ring of a flagged cell in sight: inside a large cell, around a
     small one. */
  const beside = (reach, pixels) => (pixels > 24 ? 0.5 - 5 / pixels : reach + 5 / pixels);

  function shapes(plot, own) {
    const others = (plot.layout.shapes || []).filter((shape) => shape.name !== "lit");
    const before = (plot.layout.shapes || []).length - others.length;
    if (!own.length && !before) return;
    window.Plotly.relayout(plot, { shapes: [...others, ...own] });
  }

  const cellsOf = (plot) => plot._fullData.find((trace) => trace.type === "heatmap") || { z: [[]] };

  /* Which expert stands at a position of each layer, where a heatmap does not have them in the order of their index:
     the layout's meta.columns or the cells' customdata, [layers][positions]. */
  const orderOf = (plot) => (plot.layout.meta || {}).columns || cellsOf(plot).customdata || null;

  /* "layer.expert" of a cell that somebody points at; null for a mark beside the cells. */
  function placeOf(plot, point) {
    if (!point || kindOf(plot) !== "expert-cells" || point.fullData.type !== "heatmap") return null;
    const order = orderOf(plot), row = plot.layout.meta.layers.map(String).indexOf(String(point.y));
    return `${point.y}.${order && row >= 0 ? order[row][point.x] : point.x}`;
  }

  const paint = {
    "expert-cells"(plot, state) {
      const meta = plot.layout.meta, rows = meta.layers.map(String), reach = Math.max(0.5, meta.reach || 0.5);
      const order = orderOf(plot), across = cellsOf(plot).z[0].length;
      const wide = beside(reach, plot._fullLayout.xaxis._length / across), down = beside(reach, plot._fullLayout.yaxis._length / rows.length);
      const position = (row, expert) => (order ? Array.from(order[row]).indexOf(expert) : expert);
      const places = state.experts.map((place) => place.split(".")).filter(([layer]) => rows.includes(layer));
      const rings = places.flatMap(([layer, expert]) => {
        const row = rows.indexOf(layer), at = position(row, +expert);
        return at < 0 ? [] : ring(at - wide, at + wide, row - down, row + down);
      });
      const row = rows.indexOf(new URLSearchParams(window.location.search).get("layer") || "");
      shapes(plot, row < 0 ? rings : [...ring(-0.5, across - 0.5, row - 0.5, row + 0.5), ...rings]);
    },

    "expert-dots"(plot, state) {
      const chosen = new Set(state.experts), any = chosen.size > 0;
      const points = plot._fullData.map((trace, at) => [trace, at]).filter(([trace]) => trace.customdata && Array.isArray(trace.customdata[0]));
      const found = points.map(([trace]) => (any ? trace.customdata.flatMap((one, row) => (chosen.has(one[0] + "." + one[1]) ? [row] : [])) : null));
      const before = points.map(([trace]) => (trace.selectedpoints ? Array.from(trace.selectedpoints) : null));
      if (points.length && JSON.stringify(before) !== JSON.stringify(found)) window.Plotly.restyle(plot, { selectedpoints: found, "selected.marker.opacity": 1, "unselected.marker.opacity": 0.18 }, points.map(([, at]) => at));
    },

    "topic-cells"(plot, state) {
      const names = (plot._fullData[0].x && Array.from(plot._fullData[0].x)) || [], at = names.indexOf(state.topic), end = names.length - 0.5;
      shapes(plot, at < 0 ? [] : [...ring(-0.5, end, at - 0.5, at + 0.5), ...ring(at - 0.5, at + 0.5, -0.5, end)]);
    },

    "topic-bars"(plot, state) {
      const trace = plot._fullData[0], names = Array.from(trace.y || []), at = names.indexOf(state.topic);
      const before = trace.selectedpoints ? trace.selectedpoints[0] : undefined;
      if (before !== (at < 0 ? undefined : at)) window.Plotly.restyle(plot, { selectedpoints: [at < 0 ? null : [at]], "unselected.marker.opacity": 0.35 }, [0]);
    },

    "topic-panels"(plot, state) {
      const panels = plot.layout.meta.panels, at = panels.findIndex((panel) => panel.topic === state.topic);
      const layers = plot.layout.meta.layers.map(String);
      const experts = state.experts.map((place) => place.split(".")).filter(([layer]) => layers.includes(layer));
      const reach = Math.max(0.5, plot.layout.meta.reach || 0.5);
      const dots = panels.flatMap(({ axes }) => experts.flatMap(([layer, expert]) => ring(+expert - reach, +expert + reach, layers.indexOf(layer) - 0.5, layers.indexOf(layer) + 0.5, axes)));
      const across = plot.layout.meta.experts;
      shapes(plot, [...(at < 0 ? [] : ring(-0.5, across - 0.5, -0.5, layers.length - 0.5, panels[at].axes)), ...dots]);
    },
  };

  function light(plot, state) {
    const kind = kindOf(plot);
    if (kind && paint[kind] && plot._fullData) paint[kind](plot, state);
  }

  function clicked(plot, event) {
    const point = event.points && event.points[0], kind = kindOf(plot), mouse = event.event || {};
    if (!point) return;
    const more = mouse.shiftKey || mouse.ctrlKey || mouse.metaKey;
    if (placeOf(plot, point)) pick(placeOf(plot, point), more);
    if (kind === "expert-dots" && Array.isArray(point.customdata)) pick(point.customdata.slice(0, 2).join("."), more);
    if (kind === "topic-cells") pickTopic(point.y);
    if (kind === "topic-bars") pickTopic(point.y);
    if (kind === "topic-panels") pickTopic(plot.layout.meta.panels[point.curveNumber].topic);
  }

  /* A click selects one expert, or lets go of it; with Shift, Ctrl or Cmd it is added to the others. */
  function pick(place, more) {
    const { experts } = selection().get();
    if (more) selection().toggle(place);
    else selection().set({ experts: experts.length === 1 && experts[0] === place ? [] : [place] });
  }

  const pickTopic = (topic) => selection().set({ topic: selection().get().topic === topic ? null : topic });

  /* A brush selects the experts in it; an empty one nothing. */
  function brushed(plot, event) {
    if (!event || kindOf(plot) !== "expert-dots") return;
    const places = event.points.filter((point) => Array.isArray(point.customdata)).map((point) => point.customdata.slice(0, 2).join("."));
    window.Plotly.relayout(plot, { selections: [] });
    selection().set({ experts: [...new Set(places)] });
  }

  document.addEventListener("expertscope:chart", ({ detail: plot }) => {
    plot.on("plotly_click", (event) => clicked(plot, event));
    plot.on("plotly_selected", (event) => brushed(plot, event));
    let painted = kindOf(plot) ? plot._fullData : null;
    plot.on("plotly_afterplot", () => {
      // A callback drew the figure anew, and what was lit went with the old one.
      if (kindOf(plot) && plot._fullData !== painted && !(plot.layout.shapes || []).some((shape) => shape.name === "lit")) {
        painted = plot._fullData;
        window.requestAnimationFrame(() => light(plot, selection().get()));
      }
    });
    light(plot, selection().get());
  });

  window.expertscope = Object.assign(window.expertscope || {}, { placeOf });

  document.addEventListener("expertscope:selection", ({ detail }) => {
    for (const plot of drawn()) if (plot._fullLayout) light(plot, detail);
  });
})();
