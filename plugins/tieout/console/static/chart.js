// What an instance sent and held on each of the last days, as a small drawing that also says it in words.

import { freshId, svg } from "./dom.js";
import { count, counted } from "./format.js";

const STEP = 5;
const BAR = 4;
const TALL = 26;
const MARK = 3;

/** The drawing; `days` as the overview gives them, the oldest first. */
export function chart(days) {
  const sent = days.map((day) => day.delivered + day.posted);
  const most = Math.max(1, ...sent);
  const title = freshId("chart");
  const bars = days.map((day, index) => [
    bar(index, sent[index], most),
    day.held ? mark(index) : null,
    // A wide target for the pointer, whose title is the day's figures.
    svg("rect", { x: index * STEP, y: 0, width: STEP, height: TALL + 2 * MARK + 2, class: "day" }, svg("title", {}, dayInWords(day))),
  ]);
  const width = days.length * STEP;
  return svg("svg", { class: "chart", viewBox: `0 0 ${width} ${TALL + 2 * MARK + 2}`, role: "img", "aria-labelledby": title },
    svg("title", { id: title }, inWords(days, sent)),
    svg("line", { x1: 0, x2: width, y1: TALL + 0.5, y2: TALL + 0.5, class: "axis" }),
    bars);
}

function bar(index, sent, most) {
  if (!sent) return null;
  const height = Math.max(1, Math.round((sent / most) * TALL));
  return svg("rect", { x: index * STEP, y: TALL - height, width: BAR, height, class: "sent" });
}

function mark(index) {
  const middle = index * STEP + BAR / 2;
  const top = TALL + 2;
  return svg("path", { d: `M${middle} ${top}l${MARK} ${MARK}l-${MARK} ${MARK}l-${MARK} -${MARK}z`, class: "held" });
}

function dayInWords(day) {
  return `${day.day}: ${counted(day.delivered + day.posted, "record")} sent, ${count(day.held)} newly held`;
}

function inWords(days, sent) {
  const total = sent.reduce((sum, each) => sum + each, 0);
  const held = days.reduce((sum, day) => sum + day.held, 0);
  const most = sent.indexOf(Math.max(...sent));
  const peak = total ? `, most on ${days[most].day} (${count(sent[most])})` : "";
  return `The last ${days.length} days: ${counted(total, "record")} sent${peak}; ${count(held)} newly held.`;
}
