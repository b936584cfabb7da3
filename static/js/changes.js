/* The answers of an audit by label (app/pages/answer_changes.py): a click on a cell, on a page or on what is selected in the
   run asks for another list, and the address remembers which. */
(function () {
  "use strict";
  const ASKED = ["topic", "label", "prompt", "before", "after", "page"];
  let last = null, pressed = null;

  function asked() {
    const query = new URLSearchParams(window.location.search);
    return Object.fromEntries(ASKED.filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
  }

  function ask() {
    if (!document.getElementById("changes")) return;
    const now = asked(), text = window.location.pathname + JSON.stringify(now);
    if (text === last) return;
    last = text;
    window.dash_clientside.set_props("changes-asked", { data: now });
  }

  /* Leaves the part of the list alone that says which page: another choice begins at its first. */
  function choose(parts) {
    window.expertscope.remember({ page: null, ...parts }, true);
    window.expertscope.selection.tell();
  }

  function cell(value) {
    const everything = { topic: null, label: null, prompt: null, before: null, after: null };
    if (value === "all") return choose(everything);
    const [label, before, after] = value.split(":"), now = asked();
    const same = now.label === label && now.before === before && now.after === after;
    choose(same ? { label: null, before: null, after: null } : { label, before, after });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("#changes button[data-change], #changes button[data-page]");
    if (!button) return;
    pressed = button.dataset.change ? `[data-change="${CSS.escape(button.dataset.change)}"]` : null;
    if (button.dataset.change) cell(button.dataset.change);
    else choose({ page: button.dataset.page === "1" ? null : button.dataset.page });
  });

  /* What is selected elsewhere on the page counts here too. A page of the list that is no longer there shows the last. */
  document.addEventListener("expertscope:selection", ask);

  /* The list is drawn anew after a press, and what was pressed with it: the keyboard goes on from there. */
  function settle() {
    const again = pressed && document.activeElement === document.body && document.querySelector(`#changes ${pressed}`);
    if (again) again.focus({ preventScroll: true });
    window.expertscope.selection.tell();
  }

  /* A new list is told what is selected, so that its buttons show it; a page that has just come asked for its own. */
  new MutationObserver((changes) => {
    const list = document.getElementById("changes");
    if (!list) last = null;
    else if (last === null) last = window.location.pathname + JSON.stringify(asked());
    else if (changes.some((change) => list.contains(change.target))) window.requestAnimationFrame(settle);
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
