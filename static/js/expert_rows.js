/* The table of experts asks for its rows itself: as a callback each block of them would pass through all that Dash keeps of the
   page, there and back. What the table shows, and the line below it, wait for nothing else. */
(function () {
  "use strict";
  /* Milliseconds: from the last key until the address is written, and until a silent server is asked again. */
  const AFTER = 300, AGAIN = 3000;

  /* What a new filter finds begins at its first row, however far somebody had scrolled before. Once more after the table has
     become as short as what was found: it then restores the place at which it was cut. */
  function toTop(api) {
    const up = () => !api.isDestroyed() && api.getDisplayedRowCount() && api.getFirstDisplayedRowIndex() > 0 && api.ensureIndexVisible(0, "top");
    up();
    requestAnimationFrame(() => requestAnimationFrame(up));
  }

  function address(asked, { startRow, endRow, sortModel, filterModel }) {
    const query = new URLSearchParams({ start: startRow, end: endRow, sort: JSON.stringify(sortModel), filter: JSON.stringify(filterModel || {}), criteria: asked.criteria.join(",") });
    if (asked.topic) query.set("topic", asked.topic);
    return `/ui/runs/${asked.run}/experts/rows?${query}`;
  }

  async function read(from) {
    try {
      const answer = await fetch(from);
      if (answer.ok) return await answer.json();
      if (answer.status === 401) return new Promise(() => {}); // static/js/watch.js leads to signing in, and back here
      return { rows: [], count: 0, text: "No expert", fault: (await answer.json()).error.message };
    } catch {
      return null; // the server is silent, which the page says already
    }
  }

  function serve(asked) {
    window.dash_ag_grid.getApiAsync("experts-table").then((api) => {
      // The component puts in a source of its own once the grid is ready, which this one takes the place of.
      if (api.isDestroyed() || !api.getGridOption("datasource")) return requestAnimationFrame(() => serve(asked));
      let first = { startRow: 0, sortModel: [] }, ahead = {}, soon;

      // An answer to a filter that no longer holds is too late.
      const holds = ({ filterModel }) => JSON.stringify(filterModel) === JSON.stringify(api.getFilterModel());

      const show = (params, found) => {
        if (api.isDestroyed() || !holds(params)) return;
        if (!found) return setTimeout(getRows, AGAIN, params);
        params.successCallback(found.rows, found.count);
        const line = document.getElementById("experts-count");
        if (line && line.textContent !== found.text) line.textContent = found.text;
        if (found.fault) window.expertscope.say(found.fault);
      };

      const getRows = (params) => {
        const from = address(asked, params), { known, coming } = ahead.from === from ? ahead : {};
        if (params.startRow === 0) first = params;
        ahead = {};
        // At once where it is there already: the rows before it are then changed for it, not for empty ones.
        if (known) show(params, known);
        else (coming || read(from)).then((found) => show(params, found));
      };

      // The grid waits a moment for the next key, and then forgets all rows: what it will ask for is on its way by then.
      const foresee = ({ column, filterInstance }) => {
        const model = filterInstance.getModelFromUi(), { [column.getColId()]: _, ...others } = api.getFilterModel();
        const from = address(asked, { ...first, filterModel: model ? { ...others, [column.getColId()]: model } : others });
        const mine = (ahead = { from, coming: read(from) });
        mine.coming.then((found) => (mine.known = found));
      };

      const later = () => {
        clearTimeout(soon);
        soon = setTimeout(() => api.isDestroyed() || remember(api), AFTER);
      };

      api.setGridOption("datasource", { getRows });
      api.addEventListener("filterModified", foresee);
      api.addEventListener("filterChanged", () => toTop(api));
      for (const event of ["filterChanged", "sortChanged"]) api.addEventListener(event, later);
    });
  }

  /* Order and filters stand in the address, once nobody types any more: the rows come first. */
  function remember(api) {
    const sorted = api.getColumnState().find((column) => column.sort), filters = api.getFilterModel();
    const order = sorted ? sorted.colId + "." + sorted.sort : null;
    window.expertscope.remember({ sort: order === "rank.asc" ? null : order, filter: Object.keys(filters).length ? JSON.stringify(filters) : null });
  }

  const clientside = (window.dash_clientside = window.dash_clientside || {});
  clientside.expertscope = Object.assign(clientside.expertscope || {}, {
    serveExperts(asked) {
      serve(asked);
      return window.dash_clientside.no_update;
    },
  });
})();
