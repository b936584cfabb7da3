"""A page by the Tab key alone: what it reaches, what it misses, and whether the eye can follow."""

from typing import Any

from playwright.sync_api import Page

MOST_STOPS = 500
"""No page has more; whoever presses Tab that often without leaving it is caught."""

# What has the focus: how it is called, and whether the eye can tell. An input that is drawn by something else shows its
# focus there, so the next of kin count. A dialog keeps the focus for as long as it is open: its first stop again is the
# end.
STOP = """() => {
  const at = document.activeElement;
  if (!at || at === document.body || at === document.documentElement) return null;
  if (at.closest("[role=dialog]") && window.stops.has(at)) return null;
  window.stops.add(at);
  const seen = (node) => {
    if (!node) return false;
    const style = getComputedStyle(node);
    return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
  };
  const kin = [at, at.parentElement, at.parentElement && at.parentElement.parentElement, at.nextElementSibling];
  const grid = at.closest(".ag-root-wrapper");
  const shown = kin.some(seen) || (grid && getComputedStyle(at, "::after").borderStyle !== "none");
  const first = at.getAttribute("href") === "#content" || Boolean(at.closest("[role=dialog]"));
  return { name: at.outerHTML.slice(0, 140), shown, first };
}"""

# Whatever a mouse can press and no Tab has reached. In a part with one stop and arrow keys (a grid, a group of radio
# buttons, tabs, a list to choose from) it is enough that one of its own was reached.
MISSED = """() => {
  const stops = window.stops, dialog = document.querySelector("[role=dialog][aria-modal=true]");
  const pressable = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [role=button], [role=tab]';
  const shared =
    '[role=grid], [role=treegrid], [role=tablist], [role=radiogroup], [role=listbox], .ag-root-wrapper, [data-roving]';
  const missed = [];
  for (const node of (dialog || document).querySelectorAll(pressable)) {
    if (node.disabled || stops.has(node) || node.closest('[inert], [aria-hidden=true]')) continue;
    const box = node.getBoundingClientRect();
    if (!box.width || !box.height || !node.checkVisibility({ visibilityProperty: true })) continue;
    const whole = node.type === "radio" ? document.querySelectorAll(`input[type=radio][name="${node.name}"]`) : [];
    if ([...whole].some((one) => stops.has(one))) continue;
    const part = node.closest(shared);
    if (part && [...stops].some((one) => part.contains(one))) continue;
    missed.push(node.outerHTML.slice(0, 140));
  }
  return missed;
}"""


def walk(page: Page) -> list[dict[str, Any]]:
    """Presses Tab from the top of the page until the focus leaves it."""
    page.evaluate(
        "() => { document.activeElement.blur(); window.stops = new Set(); window.getSelection().removeAllRanges(); }"
    )
    stops: list[dict[str, Any]] = []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        stop = page.evaluate(STOP)
        if stop is None:
            return stops
        stops.append(stop)
    raise AssertionError(f"Tab does not leave the page; the last stops were {[one['name'] for one in stops[-4:]]}")


def keyboard_faults(page: Page) -> list[str]:
    """Sentences on what cannot be reached or seen by keys, empty where all is well."""
    stops = walk(page)
    first = [] if stops[0]["first"] else ["the first stop does not lead to the content"]
    unseen = [f"focus cannot be seen on {stop['name']}" for stop in stops if not stop["shown"]]
    return [*first, *unseen, *(f"no Tab reaches {name}" for name in page.evaluate(MISSED))]
