/* Tells when a run that somebody looked at has ended, wherever they are by then; and when the server does not answer. */
(function () {
  "use strict";
  const KEY = "expertscope-watched", EVERY = 3000;
  const ended = { done: "is done", failed: "failed", cancelled: "was cancelled" };
  let silent = false;

  function watched() {
    try {
      return JSON.parse(window.sessionStorage.getItem(KEY) || "[]");
    } catch {
      return [];
    }
  }

  function keep(ids) {
    try {
      window.sessionStorage.setItem(KEY, JSON.stringify(ids));
    } catch {
      /* a browser that stores nothing follows a run on its own page only */
    }
  }

  function announce(run) {
    const words = `${run.name} ${ended[run.status]}`;
    const link = document.createElement("a");
    link.href = `/ui/runs/${run.id}`;
    link.textContent = words;
    link.addEventListener("click", (event) => {
      event.preventDefault();
      document.getElementById("run-ended").replaceChildren();
      window.expertscope.visit(`/ui/runs/${run.id}`);
    });
    const close = document.createElement("button");
    Object.assign(close, { type: "button", className: "chip-remove", textContent: "✕", onclick: () => document.getElementById("run-ended").replaceChildren() });
    close.setAttribute("aria-label", "Close the notice");
    document.getElementById("run-ended").replaceChildren(link, close);
    if (document.hidden && "Notification" in window && Notification.permission === "granted") new Notification("ExpertScope", { body: words });
  }

  function silence(now) {
    if (now === silent) return;
    silent = now;
    document.getElementById("server-silent").textContent = now ? "The server does not answer. This page goes on by itself once it is back." : "";
  }

  /* A session that is over answers 401 to whatever the page asks: say so, and lead back here after signing in. */
  const ask = window.fetch.bind(window);
  window.fetch = async (...request) => {
    const answer = await ask(...request);
    if (answer.status !== 401) return answer;
    signedOut();
    return new Response(null, { status: 204 }); // which callbacks take for "nothing changes"
  };

  function signedOut() {
    const place = document.getElementById("server-silent");
    if (!place || place.querySelector("a")) return;
    const link = document.createElement("a");
    link.href = "/sign-in?next=" + encodeURIComponent(window.location.pathname + window.location.search);
    link.textContent = "Sign in";
    place.replaceChildren("You are signed out. ", link, " to go on.");
  }

  async function look() {
    const box = document.querySelector("[data-watch]");
    const ids = new Set(watched());
    if (box) ids.add(box.dataset.watch);
    if (!ids.size) return;
    const here = (/^\/ui\/runs\/([^/]+)/.exec(window.location.pathname) || [])[1];
    try {
      for (const id of [...ids]) {
        const answer = await fetch(`/api/v1/runs/${encodeURIComponent(id)}`);
        if (answer.status === 404) ids.delete(id);
        if (!answer.ok) continue;
        const run = await answer.json();
        if (!(run.status in ended)) continue;
        ids.delete(id);
        if (id !== here || document.hidden) announce(run);
      }
      silence(false);
    } catch {
      silence(true);
    }
    keep([...ids]);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("#notify-me");
    if (!button || !("Notification" in window)) return;
    Notification.requestPermission().then((answer) => {
      button.hidden = answer === "granted";
      window.expertscope.say(answer === "granted" ? "You will be told when it ends, if this tab stays open" : "The browser does not allow notifications; the tab's title will say so");
    });
  });

  window.setInterval(look, EVERY);
})();
