// The page's content security policy allows no inline script, so the start lives in a file of its own.
window.addEventListener("load", () => {
  SwaggerUIBundle({
    url: "/api/v1/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    validatorUrl: null, // the default asks another host
    tryItOutEnabled: true,
  });
});
