"use strict";
// The theme of the system, before anything is drawn.
const dark = matchMedia("(prefers-color-scheme: dark)");
const themed = () => { document.documentElement.dataset.theme = dark.matches ? "dark" : "light"; };
themed();
dark.addEventListener("change", themed);
// A link that carries a token fills in the form, and leaves the address bar.
document.addEventListener("DOMContentLoaded", () => {
  const field = document.querySelector("input[name=token]");
  if (!field || location.hash.length < 2) return;
  field.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
});
