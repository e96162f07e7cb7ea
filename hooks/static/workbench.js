// Makes the workbench quicker to use. Every part of it works without this file: then each change loads the page anew.

const form = document.getElementById("bench");
const outcome = document.getElementById("outcome");
const status = document.getElementById("status");
const LARGEST = 10 * 1024 * 1024;
let running = null;

form.addEventListener("submit", (event) => {
  if (event.submitter?.dataset.plain !== undefined) return;
  event.preventDefault();
  evaluate(event.submitter);
});

// Fields outside the form belong to it too; a text is evaluated by its button, a file as soon as it is chosen.
document.addEventListener("change", ({ target }) => {
  if (target.id === "file") return take(target.files[0]);
  if (target.form !== form || target.id === "chart" || target.dataset.quiet !== undefined) return;
  if (target.id === "patient") forget();
  if (form.reportValidity()) evaluate();
});

document.addEventListener("click", async ({ target }) => {
  const button = target.closest?.("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  status.textContent = "Copied.";
  const label = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = label; }, 1500);
});

for (const name of ["dragenter", "dragover"]) {
  form.addEventListener(name, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    form.classList.add("over");
  });
}
form.addEventListener("dragleave", (event) => {
  if (!form.contains(event.relatedTarget)) form.classList.remove("over");
});
form.addEventListener("drop", (event) => {
  form.classList.remove("over");
  if (!event.dataTransfer?.files.length) return;
  event.preventDefault();
  take(event.dataTransfer.files[0]);
});

// What was left out of one chart says nothing about the next.
function forget() {
  for (const box of document.querySelectorAll("[name=without], [name=offered], [name=selected]")) box.remove();
}

async function take(file) {
  if (!file) return;
  document.getElementById("file").value = "";  // from here on the text is what counts
  document.getElementById("own-chart").open = true;
  if (file.size > LARGEST) return complain("The chart is larger than 10 MiB.");
  try {
    document.getElementById("chart").value = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    return complain("The file is not UTF-8 text: a FHIR Bundle or a CDS Hooks request as JSON is expected.");
  }
  document.getElementById("patient").value = "own";
  forget();
  evaluate();
}

async function evaluate(submitter) {
  running?.abort();
  const mine = running = new AbortController();
  outcome.setAttribute("aria-busy", "true");
  const said = new FormData(form, submitter?.form === form ? submitter : null);
  try {
    const answer = await fetch(`${form.getAttribute("action")}?part=outcome`, { method: "POST", body: said, signal: mine.signal });
    if (!answer.headers.get("content-type")?.startsWith("text/html")) return complain("The service is busy. Try again.");
    show(await answer.text(), submitter);
  } catch (error) {
    if (error.name !== "AbortError") complain("The service did not answer. Nothing in the form was lost.");
  } finally {
    if (running === mine) outcome.removeAttribute("aria-busy");
  }
}

// Swaps the outcome and leaves the reader where they are: same focus, same open parts.
function show(html, submitter) {
  const focused = outcome.contains(document.activeElement) ? document.activeElement.id : "";
  const open = [...outcome.querySelectorAll("details[open][id]")].map((each) => each.id);
  const filter = outcome.querySelector("[name=shown]:checked")?.id;
  outcome.innerHTML = html;
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (filter && document.getElementById(filter)) document.getElementById(filter).checked = true;
  if (focused) document.getElementById(focused)?.focus();
  if (submitter?.value === "own") document.getElementById("patient").value = "own";
  ready();
  status.textContent = [...outcome.querySelectorAll("[role=alert], #changed, #verdict, #cards")]
    .slice(0, 2).map((each) => each.textContent.replace(/\s+/g, " ").trim()).join(". ");
  if (submitter?.name === "verdict") sendFeedback();
}

function complain(text) {
  const panel = document.createElement("div");
  panel.className = "panel problem";
  panel.setAttribute("role", "alert");
  panel.append(Object.assign(document.createElement("h2"), { textContent: "This cannot be used" }));
  panel.append(Object.assign(document.createElement("p"), { textContent: text }));
  outcome.querySelector(":scope > .problem")?.remove();
  outcome.prepend(panel);
}

// As an EHR does once a clinician has decided.
async function sendFeedback() {
  const told = document.getElementById("feedback-sent");
  document.getElementById("verdict")?.closest("section").scrollIntoView({ block: "nearest" });
  if (!told) return;
  const body = document.getElementById("feedback-json").textContent;
  try {
    const answer = await fetch(told.dataset.path, {
      method: "POST", headers: { "Content-Type": "application/json" }, body,
    });
    told.textContent = answer.ok
      ? `Sent to ${told.dataset.path}: stored.`
      : `Sent to ${told.dataset.path}: the service answered ${answer.status}.`;
  } catch {
    told.textContent = `Could not be sent to ${told.dataset.path}.`;
  }
}

function ready() {
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
  for (const field of form.querySelectorAll("[data-default]")) {
    field.parentElement.classList.toggle("is-changed", field.value !== field.dataset.default);
  }
}

form.addEventListener("input", ready);
ready();
