/* How cells of the grid are drawn and numbers in it written. The names are those in the pages' column definitions. */
(function () {
  "use strict";
  const make = (...parts) => window.React.createElement(...parts);

  function scientific(value) {
    const [figures, power] = value.toExponential(2).split("e");
    const raised = [...String(Number(power))].map((sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]).join("");
    return figures.replace("-", "−") + " × 10" + raised;
  }

  /* As backend/formats.py: at most three significant figures, a real minus, a dash for nothing. */
  function figures(value) {
    if (value === null || value === undefined || Number.isNaN(value)) return "—";
    if (value === 0) return "0";
    if (Math.abs(value) < 1e-4) return scientific(value);
    const decimals = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
    const text = value.toFixed(decimals).replace("-", "−");
    return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  }

  /* A share of 1, p or q: three decimals below each other. */
  function share(value) {
    if (value === null || value === undefined || Number.isNaN(value)) return "—";
    return value > 0 && value < 0.0005 ? "< 0.001" : value.toFixed(3).replace("-", "−");
  }

  function cell(value) {
    return value === null || value === undefined ? "not observed" : value.toFixed(4).replace("-", "−");
  }

  function ordinal(n) {
    const tens = n % 100;
    const ending = tens >= 10 && tens <= 20 ? "th" : { 1: "st", 2: "nd", 3: "rd" }[n % 10] || "th";
    return String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f") + ending;
  }

  const functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  functions.figures = figures;
  functions.share = share;
  functions.cell = cell;

  /* A ratio to even use, with its sign. */
  const times = (value) => (value === null || value === undefined ? "—" : figures(value) + " ×");

  /* The selection that every view of a run shares, which static/js/selection.js keeps. A row that is not loaded yet has no
     data, in the functions below as in the cells. */
  let chosen = null;
  const keeper = () => window.expertscope && window.expertscope.selection;
  const place = (data) => data.layer + "." + data.name.split("E")[1];
  const isChosen = (data) => {
    if (chosen === null) chosen = new Set(keeper() ? keeper().get().experts : []);
    return Boolean(data && data.name) && chosen.has(place(data));
  };

  document.addEventListener("expertscope:selection", ({ detail }) => {
    chosen = new Set(detail.experts);
    const asked = document.getElementById("experts-table") && window.dash_ag_grid;
    if (!asked) return;
    window.dash_ag_grid.getApiAsync("experts-table").then((api) => api.redrawRows());
  });

  Object.assign(functions, { times, lit: isChosen, tabLeaves: () => false });

  /* What cells of many columns show is text with a drawing behind it: a component in each of them takes several times as long,
     which whoever scrolls feels. */

  /* A row without its expert yet is one piece: no cells are made for it only to be filled a moment later. */
  functions.awaited = ({ rowNode }) => !rowNode.data;

  /* A score and its rank, over a bar from 0 on the criterion's own scale, `least` to `most`. */
  functions.score = ({ value, data }, rank) => (data ? figures(value) + (data[rank] ? "\u2002" + ordinal(data[rank]) : "") : "");

  functions.scoreBar = ({ value }, least, most) => {
    const width = most - least;
    if (value === null || value === undefined || !width) return null;
    return { "--from": (Math.min(value, 0) - least) / width, "--to": (Math.max(value, 0) - least) / width };
  };

  /* `rungs` has one bit for each step that is passed, the first the lowest. */
  const passed = (data, names) => names.filter((_, step) => data.rungs & (1 << step));

  functions.ladder = ({ data }, names) => (data ? passed(data, names).length + " of " + names.length : "");

  functions.ladderWords = ({ data }, names) => data && "Evidence " + passed(data, names).length + " of " + names.length + ": " + (passed(data, names).join(", ") || "none");

  functions.ladderSteps = ({ data }, names) => {
    if (!data) return "";
    return ["ladder-cell", ...names.map((_, step) => (data.rungs & (1 << step) ? "step-" + step : "")), data.flagged ? "flagged-ladder" : ""].filter(Boolean);
  };

  functions.effect = ({ data }) => (data ? data.effect_text || "—" : "");

  /* Zero, the null's band, the interval and the dot, in percent of the strip. */
  functions.effectStrip = ({ data }) => {
    const strip = data && data.strip;
    if (!strip) return null;
    const box = (name, from, to) => (from === null || to === null ? {} : { ["--" + name + "-from"]: from / 100, ["--" + name + "-long"]: Math.max(to - from, 0.6) / 100 });
    return { "--zero": strip.zero / 100, "--dot": strip.dot / 100, ...box("null", strip.null_from, strip.null_to), ...box("interval", strip.from, strip.to) };
  };

  functions.effectKind = ({ data }) => (!data ? "" : !data.strip ? "dim" : data.flagged ? ["strip-cell", "flagged-strip"] : ["strip-cell"]);

  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});

  cells.Awaited = () => make("span", { role: "gridcell", className: "awaited" }, "…");

  cells.Mark = function (props) {
    if (!props.data) return null;
    const on = isChosen(props.data);
    const name = (on ? "Deselect " : "Select ") + props.data.name;
    const toggle = (event) => {
      event.stopPropagation();
      if (keeper()) keeper().toggle(place(props.data));
    };
    return make("button", { type: "button", className: "mark", tabIndex: -1, "aria-pressed": on, "aria-label": name, onClick: toggle }, make("span", { "aria-hidden": true }));
  };

  cells.Place = function (props) {
    if (!props.data) return null;
    const href = props.data.href || props.base + "/" + place(props.data).replace(".", "/");
    const open = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      window.expertscopeVisit(keeper() ? keeper().carry(href) : href);
    };
    return make("a", { href, onClick: open, className: "row-link num", tabIndex: -1 }, props.data.name);
  };

  /* The space bar on a cell selects the row's expert, as the box before it does. */
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || !event.target.classList.contains("ag-cell") || !event.target.closest("#experts-table")) return;
    const row = event.target.closest(".ag-row").getAttribute("row-index");
    const mark = event.target.closest(".ag-root").querySelector(`.ag-row[row-index="${row}"] .mark`);
    event.preventDefault();
    if (mark) mark.click();
  });
})();
