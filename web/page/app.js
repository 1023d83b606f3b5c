/** The page's entry: connect the desk, the actions on it and the views of it. */

import { Asker } from "./actions/asking.js";
import { Opener } from "./actions/opening.js";
import { Planner } from "./actions/planning.js";
import { Router } from "./actions/routing.js";
import { Desk } from "./desk/desk.js";
import { setUpChoosing } from "./views/choosing.js";
import { byId } from "./views/dom.js";
import { History } from "./views/history.js";
import { showModel } from "./views/model.js";
import { watchOptions } from "./views/options.js";
import { QuestionForm } from "./views/question_form.js";
import { Screen } from "./views/screen.js";
import { nextTheme, setUpSettings } from "./views/settings.js";
import { setUpShortcuts } from "./views/shortcuts.js";

const SKIP_SECONDS = 5;

const desk = new Desk();
const history = new History((id) => id === desk.shownId && router.goHome());
const screen = new Screen(desk, {
  onShow: (id) => router.goTo(id),
  onCancel: (id) => void asker.cancel(id),
  onStart: () => void history.showRecent(),
});
const planner = new Planner(desk);
const opener = new Opener(desk, planner, screen);
const asker = new Asker(desk, screen);
const router = new Router(desk, opener, asker);

setUpSettings();
setUpChoosing(
  (file) => void opener.openFile(file),
  (text) => opener.openAddress(text),
);
new QuestionForm((form) => void asker.ask(form));
watchOptions(() => planner.planSoon());
for (const id of ["home", "other-video"]) {
  byId(id).addEventListener("click", (event) => {
    event.preventDefault();
    router.goHome();
  });
}
setUpShortcuts({
  "/": () => screen.focusQuestion(),
  o: () => byId("file").click(),
  k: () => screen.player.toggle(),
  j: () => screen.player.move(-SKIP_SECONDS),
  l: () => screen.player.move(SKIP_SECONDS),
  ",": () => screen.stepTo(-1),
  ".": () => screen.stepTo(1),
  h: () => void history.open(),
  t: nextTheme,
  "?": () => byId("shortcuts", HTMLDialogElement).showModal(),
});
window.addEventListener("popstate", () => void router.open());
void showModel();
if (location.hash.startsWith("#analysis-")) void router.open();
else void history.showRecent();
