/* The table of contents beside a long page (app/components/contents.py): a link moves to its part without a visit, and the
   part that somebody reads is marked. */
(function () {
  "use strict";
  const links = () => [...document.querySelectorAll("a.contents-link")];
  const partOf = (link) => document.getElementById(link.hash.slice(1));

  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a.contents-link");
    const part = link && partOf(link);
    if (!part || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    part.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
    part.tabIndex = -1;
    part.focus({ preventScroll: true });
  }, true);

  /* The last part whose beginning is above the middle of the window. */
  function mark() {
    const all = links();
    if (!all.length) return;
    const above = all.filter((link) => partOf(link) && partOf(link).getBoundingClientRect().top < window.innerHeight / 2);
    const end = window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 2;
    const here = end ? all[all.length - 1] : above[above.length - 1] || all[0];
    for (const link of all) {
      if (link === here) link.setAttribute("aria-current", "location");
      else link.removeAttribute("aria-current");
    }
  }

  let due = false;
  function soon() {
    if (due) return;
    due = true;
    window.requestAnimationFrame(() => {
      due = false;
      mark();
    });
  }

  window.addEventListener("scroll", soon, { passive: true });
  window.addEventListener("resize", soon);
  document.addEventListener("expertscope:chart", soon);
})();
