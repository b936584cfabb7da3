/* Prompt sets and new runs: what is chosen stands in the address. */
(function () {
  "use strict";
  const clientside = (window.dash_clientside = window.dash_clientside || {});
  clientside.expertscope = Object.assign(clientside.expertscope || {}, {
    rememberPrompts(label, topic, search) {
      return window.expertscope.remember({ label, topic, search, from: null });
    },
  });
})();
