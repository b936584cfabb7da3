/* The list of runs: its narrowing stands in the address, and two chosen audits become one link. */
(function () {
  "use strict";
  const nothing = () => window.dash_clientside.no_update;

  /* The archive of a run goes to the API as a file, so that its size is bounded by the server's settings alone. */
  async function bringBack(file, button) {
    const body = new FormData(), fault = document.getElementById("import-fault"), words = button.lastChild.textContent;
    body.append("file", file);
    fault.replaceChildren();
    button.disabled = true;
    button.lastChild.textContent = "Importing …";
    try {
      const answer = await fetch("/api/v1/runs/import", { method: "POST", body });
      const said = await answer.json();
      if (answer.ok) return window.expertscope.visit(`/ui/runs/${said.id}`);
      complain(fault, `${file.name} was not imported: ${said.error.message}.`);
    } catch {
      complain(fault, `${file.name} was not imported: the server did not answer.`);
    }
    button.disabled = false;
    button.lastChild.textContent = words;
  }

  function complain(place, text) {
    const line = document.createElement("p"), sign = document.createElement("span"), words = document.createElement("span");
    line.className = "field-error";
    sign.className = "icon icon-warn";
    sign.setAttribute("aria-hidden", "true");
    words.textContent = text;
    line.append(sign, words);
    place.replaceChildren(line);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("#run-import");
    if (!button) return;
    const picker = Object.assign(document.createElement("input"), { type: "file", accept: ".zip,application/zip" });
    picker.addEventListener("change", () => picker.files[0] && bringBack(picker.files[0], button));
    picker.click();
  });

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
