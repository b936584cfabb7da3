/* The list of runs: its narrowing stands in the address, and two chosen audits become one link. */
(function () {
  "use strict";
  const nothing = () => window.dash_clientside.no_update;

  const clientside = (window.dash_clientside = window.dash_clientside || {});
  clientside.expertscope = Object.assign(clientside.expertscope || {}, {
    rememberRuns(search, model) {
      window.expertscope.remember({ search, model, cursor: null });
      return nothing();
    },

    /* The list is newest first: the older of the two is what the newer one is held against. */
    compareRuns(checked, ids) {
      const chosen = ids.filter((id, at) => checked[at]).map((id) => id.run);
      if (chosen.length !== 2) {
        const note = ["Choose two audits to compare", "Choose one more to compare"][chosen.length] || "Two at most can be compared";
        return [nothing(), "button hidden", note];
      }
      const query = new URLSearchParams({ a: chosen[1], b: chosen[0] });
      return ["/ui/compare?" + query, "button primary", "The older one is A"];
    },
  });
})();
