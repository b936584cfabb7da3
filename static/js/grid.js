/* How cells of the grid are drawn and numbers in it written. The names are those in the pages' column definitions. */
(function () {
  "use strict";
  const make = (...parts) => window.React.createElement(...parts);

  function scientific(value) {
    const [figures, power] = value.toExponential(2).split("e");
    const raised = [...String(Number(power))].map((sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]).join("");
    return figures.replace("-", "−") + " × 10" + raised;
  }

  /* As app/formats.py: at most three significant figures, a real minus, a dash for nothing. */
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
    return n + ending;
  }

  function span(name, style) {
    return make("span", { className: name, style });
  }

  const functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  functions.figures = figures;
  functions.share = share;
  functions.cell = cell;

  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});

  cells.Place = function (props) {
    const open = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      window.expertscopeVisit(props.data.href);
    };
    return make("a", { href: props.data.href, onClick: open, className: "row-link num" }, props.data.name);
  };

  cells.Ladder = function (props) {
    const data = props.data;
    return make(
      "span",
      { className: data.flagged ? "ladder flagged-ladder" : "ladder", role: "img", "aria-label": data.ladder, title: data.ladder },
      data.steps.map((passed, index) => make("span", { key: index, className: passed ? "step passed" : "step" })),
    );
  };

  cells.Effect = function (props) {
    const { strip, effect_text: text, flagged } = props.data;
    if (!strip) return make("span", { className: "dim" }, "—");
    const box = (name, from, to) =>
      from === null || to === null ? null : span(name, { left: from + "%", width: Math.max(to - from, 0.6) + "%" });
    return make(
      "span",
      { className: "effect-cell" },
      make(
        "span",
        { className: flagged ? "strip flagged-strip" : "strip", "aria-hidden": true },
        span("strip-zero", { left: strip.zero + "%" }),
        box("strip-null", strip.null_from, strip.null_to),
        box("strip-interval", strip.from, strip.to),
        span("strip-dot", { left: strip.dot + "%" }),
      ),
      make("span", { className: "num" }, text),
    );
  };

  cells.Score = function (props) {
    const rank = props.data[props.rank];
    return make(
      "span",
      { className: "num" },
      figures(props.value),
      rank ? make("span", { className: "ci" }, " " + ordinal(rank)) : null,
    );
  };
})();
