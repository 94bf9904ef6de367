// The last thing that was done and can be undone; z does it, whatever view is shown.
import { toast } from "./dom.js";

let last = null;
export function setUndo(run) { last = run; }
export function undo() {
  if (!last) { toast("There is nothing to undo"); return; }
  const run = last;
  last = null;
  run();
}
