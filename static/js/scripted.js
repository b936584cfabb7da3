/* Makes the elements that app/components/scripted.py has written down. */
(function () {
  "use strict";
  const done = new WeakMap();

  function element(part) {
    if (typeof part === "string") return document.createTextNode(part);
    const [tag, attributes, children] = part;
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children.map(element));
    return made;
  }

  function fill() {
    for (const holder of document.querySelectorAll("[data-scripted]")) {
      const text = holder.dataset.scripted;
      if (done.get(holder) === text) continue;
      done.set(holder, text);
      holder.replaceChildren(...JSON.parse(text).map(element));
    }
  }

  /* A link inside goes where dcc.Link would go, without loading the document anew. */
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("[data-scripted] a[href]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (link.target || link.origin !== window.location.origin || !link.pathname.startsWith("/ui/")) return;
    event.preventDefault();
    window.expertscope.visit(link.pathname + link.search);
  });

  new MutationObserver(fill).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-scripted"] });
})();
