/* Ctrl+K or ⌘K: to any page, run, model, prompt set or expert by a few letters. */
(function () {
  "use strict";
  const PAGES = [["Runs", "/ui/runs"], ["New run", "/ui/runs/new"], ["Compare runs", "/ui/compare"], ["Playground", "/ui/playground"], ["Prompt sets", "/ui/prompt-sets"], ["Models", "/ui/models"], ["Judges", "/ui/judges"], ["Admin", "/ui/admin"]];
  const VIEWS = [["Overview", ""], ["Routing", "/routing"], ["Topics", "/topics"], ["Experts", "/experts"], ["Tokens", "/tokens"], ["Interventions", "/interventions"], ["Report", "/report"]];
  const MOST = 12;
  let known = [], at = 0, shown = [];

  const $ = (id) => document.getElementById(id);

  async function list(path) {
    try {
      const answer = await fetch(`/api/v1/${path}?limit=100`);
      return answer.ok ? (await answer.json()).items : [];
    } catch {
      return [];
    }
  }

  async function gather() {
    const [runs, models, sets] = await Promise.all(["runs", "models", "prompt-sets"].map(list));
    const here = /^\/ui\/runs\/(?!new)([^/]+)/.exec(window.location.pathname);
    known = [
      ...(here ? VIEWS.map(([name, tab]) => ({ name, kind: "this run", href: `/ui/runs/${here[1]}${tab}` })) : []),
      ...PAGES.map(([name, href]) => ({ name, kind: "page", href })),
      ...runs.map((run) => ({ name: run.name, kind: `${run.kind}, ${run.status}`, href: `/ui/runs/${run.id}` })),
      ...sets.map((one) => ({ name: one.name, kind: "prompt set", href: `/ui/prompt-sets/${one.id}` })),
      ...models.map((one) => ({ name: one.name, kind: "model", href: "/ui/models" })),
    ];
    filter();
  }

  /* "L1·E7", "l1e7" or "1.7" is an expert of the run on show. */
  function expertOf(text) {
    const here = /^\/ui\/runs\/(?!new)([^/]+)/.exec(window.location.pathname);
    const place = /^l?\s*(\d+)\s*[.·:\s]?\s*e?\s*(\d+)$/i.exec(text.trim());
    if (!here || !place || !/[.·:\se]/i.test(text)) return [];
    return [{ name: `L${place[1]}·E${place[2]}`, kind: "expert of this run", href: `/ui/runs/${here[1]}/experts/${place[1]}/${place[2]}` }];
  }

  function filter() {
    const text = $("search-text").value, words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const found = known.filter((one) => words.every((word) => `${one.name} ${one.kind}`.toLowerCase().includes(word)));
    shown = [...expertOf(text), ...found].slice(0, MOST);
    at = 0;
    draw();
  }

  function draw() {
    const options = shown.map((one, index) => {
      const option = document.createElement("li"), kind = document.createElement("span");
      option.id = `search-option-${index}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", String(index === at));
      kind.className = "dim small";
      kind.textContent = one.kind;
      option.append(one.name, kind);
      option.addEventListener("click", () => open(one));
      return option;
    });
    $("search-options").replaceChildren(...options);
    $("search-none").hidden = shown.length > 0;
    $("search-text").setAttribute("aria-activedescendant", shown.length ? `search-option-${at}` : "");
    if (options[at]) options[at].scrollIntoView({ block: "nearest" });
  }

  function open(one) {
    $("search").close();
    window.expertscope.visit(window.expertscope.selection && one.kind === "this run" ? window.expertscope.selection.carry(one.href) : one.href);
  }

  function show() {
    const dialog = $("search");
    if (!dialog || dialog.open) return;
    $("search-text").value = "";
    known = [];
    filter();
    dialog.showModal();
    gather();
  }

  function keys(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps && shown.length) {
      at = (at + steps[event.key] + shown.length) % shown.length;
      draw();
      event.preventDefault();
    } else if (event.key === "Enter" && shown[at]) {
      event.preventDefault();
      open(shown[at]);
    }
  }

  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
      event.preventDefault();
      show();
    } else if (event.target.id === "search-text") keys(event);
  });
  document.addEventListener("input", (event) => event.target.id === "search-text" && filter());
  document.addEventListener("click", (event) => {
    if (event.target.closest && event.target.closest("#search-open")) show();
    else if (event.target.id === "search") event.target.close();
  });

  /* The dialog is no part of any page: it stands beside them, made once. */
  function make() {
    const dialog = document.createElement("dialog");
    dialog.id = "search";
    dialog.className = "search";
    dialog.setAttribute("aria-label", "Search");
    const input = document.createElement("input"), options = document.createElement("ul"), none = document.createElement("p");
    Object.assign(input, { id: "search-text", type: "text", placeholder: "A page, run, prompt set, model, or an expert such as L1·E7", autocomplete: "off", spellcheck: false });
    for (const [name, value] of [["role", "combobox"], ["aria-expanded", "true"], ["aria-controls", "search-options"], ["aria-autocomplete", "list"], ["aria-label", "Search"]]) input.setAttribute(name, value);
    options.id = "search-options";
    options.setAttribute("role", "listbox");
    options.setAttribute("aria-label", "Found");
    Object.assign(none, { id: "search-none", className: "dim", textContent: "Nothing has that name." });
    dialog.append(input, options, none);
    document.body.append(dialog);
  }
  if (document.body) make();
  else document.addEventListener("DOMContentLoaded", make);
})();
