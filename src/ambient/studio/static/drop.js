// Songs that are dropped or picked: sent one after another, what is odd is named, then one commit.
import { attempt, post, send, upload } from "./api.js";
import { dialog, h, plural, size, toast } from "./dom.js";
import { setUndo } from "./undo.js";

export function wireDrop() {
  const cover = document.getElementById("drop");
  const pick = document.getElementById("pick");
  let depth = 0;
  const holdsFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
  addEventListener("dragenter", (event) => { if (holdsFiles(event)) { depth += 1; cover.hidden = false; } });
  addEventListener("dragleave", (event) => { if (holdsFiles(event) && --depth <= 0) { depth = 0; cover.hidden = true; } });
  addEventListener("dragover", (event) => { if (holdsFiles(event)) event.preventDefault(); });
  addEventListener("drop", async (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    depth = 0;
    cover.hidden = true;
    putIn(await filesOf(event.dataTransfer));
  });
  pick.addEventListener("change", () => { putIn([...pick.files]); pick.value = ""; });
}

// Files of a drop, those in dropped folders too.
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry());
  if (!entries.some((entry) => entry && entry.isDirectory)) return [...transfer.files];
  const files = [];
  const walk = async (entry) => {
    if (entry.isFile) files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    else {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!some.length) break;
        for (const each of some) await walk(each);
      }
    }
  };
  for (const entry of entries) if (entry) await walk(entry);
  return files.filter((file) => !file.name.startsWith("."));
}

export async function putIn(files) {
  if (!files.length) return;
  await attempt(async () => {
    let batch = await post("/api/uploads", { names: files.map((file) => file.name) });
    const rows = files.map((file, index) => rowOf(file, batch.files[index]));
    const button = h("button", { class: "primary", disabled: true }, "Put in");
    const box = dialog(`Put in ${plural(files.length, "file")}`, h("ul", { class: "uploads" }, rows.map((row) => row.element)),
      h("footer", {}, h("span", { class: "about" }, "All chosen files become one commit; it can be undone."), button));
    let done = false;
    box.addEventListener("close", () => { if (!done) send("DELETE", `/api/uploads/${batch.id}`).catch(() => {}); });
    let again = 0;
    for (let index = 0; index < files.length; index++) {
      if (!box.isConnected) return;
      if (batch.files[index].state === "refused") continue;
      try {
        batch = await upload(`/api/uploads/${batch.id}/${index}`, files[index], (sent) => rows[index].progress(sent));
        rows[index].show(batch.files[index]);
      } catch (error) {
        if (error.status === 404 && again++ < 5) { // the server was started anew and has forgotten what it had: all of it once more
          batch = await post("/api/uploads", { names: files.map((file) => file.name) });
          index = -1;
        } else rows[index].show({ state: "refused", problem: error.message });
      }
    }
    const chosen = () => rows.flatMap((row, index) => (row.tick.checked ? [index] : []));
    const refresh = () => { button.disabled = !chosen().length; button.textContent = `Put in ${chosen().length}`; };
    const put = () => attempt(async () => {
      done = true;
      const answer = await post(`/api/uploads/${batch.id}/put`, { files: chosen() });
      box.close();
      const undo = () => attempt(() => post(`/api/commits/${answer.commit}/undo`));
      setUndo(undo);
      toast(`${plural(answer.put, "song")} put in`, { action: "Undo", run: undo });
    });
    for (const row of rows) row.tick.addEventListener("change", refresh);
    button.addEventListener("click", put);
    refresh();
    if (batch.files.every((file) => file.state === "ready")) put();
    else button.focus();
  });
}

function rowOf(file, known) {
  const tick = h("input", { type: "checkbox", checked: false, disabled: true, "aria-label": `Put in ${file.name}` });
  const about = h("span", { class: "about" }, size(file.size));
  const bar = h("progress", { max: file.size || 1, value: 0, "aria-label": `Sent of ${file.name}` });
  const element = h("li", {}, h("label", {}, tick, h("span", { class: "name" }, file.name)), about, bar);
  const row = {
    element, tick,
    progress(sent) { bar.value = sent; },
    show(state) {
      bar.remove();
      tick.checked = state.state === "ready";
      tick.disabled = !["ready", "odd"].includes(state.state);
      element.className = state.state;
      const renamed = state.path && state.path !== file.name && state.state === "ready" ? `becomes ${state.path}` : "";
      about.textContent = state.problem || renamed || size(file.size);
    },
  };
  if (known.state === "refused") row.show(known);
  return row;
}
