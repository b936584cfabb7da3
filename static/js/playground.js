/* The playground: a counter under the prompt, Ctrl+Enter, and the question's id in the address. */
(function () {
  "use strict";
  const clientside = (window.dash_clientside = window.dash_clientside || {});

  /* A prompt's length as the server counts it: characters, not UTF-16 units, without blanks around them. */
  function length(prompt) {
    return [...(prompt || "").trim()].length;
  }

  clientside.expertscope = Object.assign(clientside.expertscope || {}, {
    countPlayground(prompt, model, longest) {
      const used = length(prompt), most = Number(longest), many = used > most;
      const thin = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");
      const text = `${thin(used)} of ${thin(most)} characters` + (many ? `: ${thin(used - most)} too many, shorten it` : "");
      return [text, "small num " + (many ? "danger" : "dim"), used === 0 || many || !model];
    },

    rememberPlayground(question) {
      return window.expertscope.remember({ q: question, window: null });
    },

    rememberPlaygroundWindow(name) {
      return window.expertscope.remember({ window: name === "prompt" ? null : name });
    },
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.target.id !== "playground-prompt") return;
    const button = document.getElementById("playground-ask");
    if (button && !button.disabled) {
      event.preventDefault();
      button.click();
    }
  });
})();
