"""What surrounds every page: the HTML document, the header, and the place that pages are put into."""

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from app import addresses
from app.components import aria, icon, states
from backend.services import Principal, Role, current

INDEX = """<!DOCTYPE html>
<html lang="en">
  <head>
    {%metas%}
    <meta name="description" content="Which experts of a Mixture-of-Experts model carry its safety behaviour.">
    <meta name="color-scheme" content="light dark">
    <title>{%title%}</title>
    <link rel="icon" type="image/svg+xml" href="/ui/assets/icons/logo.svg">
    <script src="/ui/assets/js/theme.js"></script>
    {%css%}
    <link rel="stylesheet" href="STYLES">
  </head>
  <body>
    <svg width="0" height="0" aria-hidden="true" focusable="false" style="position:absolute">
      <defs>
        <pattern id="missing" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect class="hatch-ground" width="6" height="6"></rect><rect class="hatch-line" width="1.5" height="6"></rect>
        </pattern>
      </defs>
    </svg>
    <noscript>ExpertScope's pages need JavaScript. The same results are at /api/v1.</noscript>
    {%app_entry%}
    <footer class="scripts">{%config%}<script src="SCRIPTS"></script>{%scripts%}{%renderer%}</footer>
  </body>
</html>"""


def index(styles: str, scripts: str) -> str:
    """The document around every page, with the addresses of the project's own styles and scripts."""
    return INDEX.replace("STYLES", styles).replace("SCRIPTS", scripts)


# Ten shades of ink: the accent is black on light and white on dark, so that every colour keeps its meaning.
_INK = [
    "#eceef2",
    "#dfe2e8",
    "#cfd4dc",
    "#b9bfca",
    "#949cab",
    "#626a78",
    "#454c59",
    "#2f353f",
    "#20252d",
    "#15181d",
]
_NIGHT = [
    "#eceef2",
    "#b9bfca",
    "#949cab",
    "#6b7280",
    "#3a414d",
    "#2e343e",
    "#1c2027",
    "#16191f",
    "#101216",
    "#0b0d10",
]
THEME = {
    "colors": {"ink": _INK, "dark": _NIGHT},
    "primaryColor": "ink",
    "primaryShade": {"light": 9, "dark": 0},
    "autoContrast": True,
    "luminanceThreshold": 0.45,
    "fontFamily": "var(--font)",
    "fontFamilyMonospace": "var(--font-mono)",
    "defaultRadius": "6px",
    "fontSizes": {"xs": "12px", "sm": "14px", "md": "14px", "lg": "16px", "xl": "20px"},
    "cursorType": "pointer",
    "respectReducedMotion": True,
}


def layout() -> Component:
    """The frame as whoever asks for it sees it, with a skeleton where the navigation callback puts the page."""
    who = current()
    frame: Component = dmc.MantineProvider(
        html.Div(
            [
                dcc.Location(id="address", refresh="callback-nav"),
                dcc.Store(id="visit"),
                dcc.Store(id="selection"),
                dcc.Store(id="page-title"),
                dcc.Store(id="page-reload"),
                html.A("Skip to content", href="#content", className="skip"),
                _header(who),
                html.Main(states.loading(), id="content", className="content", tabIndex=-1),
                html.Div(id="notice", className="notice", role="status"),
                html.Div(
                    [html.Div(id="run-ended", role="status"), html.Div(id="server-silent", role="status")],
                    className="tell",
                ),
            ],
            className="frame",
        ),
        theme=THEME,
        defaultColorScheme="auto",
    )
    return frame


def _header(who: Principal) -> Component:
    return html.Header(
        [
            dcc.Link(
                [html.Img(src="/ui/assets/icons/logo.svg", width=20, height=20, alt=""), "ExpertScope"],
                href=addresses.RUNS,
                className="wordmark",
            ),
            html.Nav(
                [
                    dcc.Link("Runs", href=addresses.RUNS, id="nav-runs"),
                    dcc.Link("Playground", href=addresses.PLAYGROUND, id="nav-playground"),
                    dcc.Link("Compare", href=addresses.COMPARE, id="nav-compare"),
                    html.Span(className="nav-divider"),
                    dcc.Link("Prompt sets", href=addresses.PROMPT_SETS, id="nav-prompt-sets"),
                    dcc.Link("Models", href=addresses.MODELS, id="nav-models"),
                    dcc.Link("Judges", href=addresses.JUDGES, id="nav-judges"),
                ],
                className="main-nav places",
                **aria(label="Main"),
            ),
            html.Button(
                [icon("search"), html.Span("Search", className="search-word"), html.Kbd("Ctrl K")],
                id="search-open",
                type="button",
                className="search-open push",
                **aria(label="Search Ctrl K", keyshortcuts="Control+K Meta+K"),
            ),
            html.Nav(
                [
                    dcc.Link("Admin", href=addresses.ADMIN, id="nav-admin") if who.role is Role.ADMIN else None,
                    dcc.Link(who.name, href=addresses.ACCOUNT, id="nav-account", title=f"Your account: {who.role}")
                    if who.user_id
                    else None,
                ],
                className="main-nav",
                **aria(label="Installation"),
            ),
            html.Form(
                html.Button("Sign out", type="submit", className="button quiet"), method="post", action="/sign-out"
            )
            if who.user_id
            else None,
            dmc.ColorSchemeToggle(
                lightIcon=icon("sun"),
                darkIcon=icon("moon"),
                variant="subtle",
                size=32,
                color="ink",
                **aria(label="Switch between light and dark"),
            ),
        ],
        className="header",
    )
