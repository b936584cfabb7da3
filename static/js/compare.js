/* The compare page: choosing another run is a visit, choosing another quantity is only remembered. */
(function () {
  "use strict";
  const nothing = () => window.dash_clientside.no_update;
  const clientside = (window.dash_clientside = window.dash_clientside || {});

  clientside.expertscope = Object.assign(clientside.expertscope || {}, {
    chooseCompared(a, b) {
      const query = new URLSearchParams(window.location.search);
      if ((a || null) === query.get("a") && (b || null) === query.get("b")) return nothing();
      for (const [name, value] of [["a", a], ["b", b]]) {
        if (value) query.set(name, value);
        else query.delete(name);
      }
      window.expertscope.visit(window.location.pathname + "?" + query.toString());
      return nothing();
    },

    rememberCompare(quantity, group, window_) {
      const standard = { quantity: "frequency", group: "all", window: "prompt" };
      const parts = { quantity, group, window: window_ };
      for (const name of Object.keys(standard)) if (parts[name] === standard[name]) parts[name] = null;
      return window.expertscope.remember(parts);
    },
  });
})();
