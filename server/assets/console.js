// A little better with a script; everything works without one.
"use strict";

// A form is sent once, however often its button is pressed; coming back with the browser's arrow frees it again.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// A filter shows what it is set to at once.
for (const select of document.querySelectorAll("form.filters select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

// Whoever types another value means that one.
for (const field of document.querySelectorAll("[data-chooses]")) {
  const choose = () => { document.getElementById(field.dataset.chooses).checked = true; };
  field.addEventListener("input", choose);
  field.addEventListener("change", choose);
}

// `/` goes to the search, where there is one.
addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  const search = document.querySelector("input[type=search]");
  if (event.key === "/" && !typing && search) {
    event.preventDefault();
    search.focus();
  }
});
