// Small pictures: a line of the last minutes, and a bar.

import { svg } from "./dom.js";

const WIDTH = 120;
const HEIGHT = 26;
const LEAST = 60; // seconds of the shortest line

/** A line of one rate; it has gaps where nothing is known. */
export function spark(points, name, label, show) {
  const value = ({ rates }) => rates?.[name] ?? null;
  const seen = points.map(value).filter((one) => one !== null);
  const top = Math.max(...seen, 1e-9);
  const end = points.at(-1).at;
  const span = Math.max(LEAST, end - points[0].at);
  const lines = [[]];
  for (const point of points) {
    const x = WIDTH * (1 - (end - point.at) / span);
    if (value(point) === null) lines.push([]);
    else lines.at(-1).push(`${x.toFixed(1)},${(HEIGHT - 1 - (HEIGHT - 2) * (value(point) / top)).toFixed(1)}`);
  }
  const said = seen.length ? `${label}, last minutes: ${show(Math.min(...seen))} to ${show(Math.max(...seen))}`
    : `${label}: not known yet`;
  return svg("svg.spark", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": said },
    lines.filter((line) => line.length > 1).map((line) => svg("polyline", { points: line.join(" ") })));
}

/** How full something is; its words stand next to it. */
export function bar(part, all) {
  const share = Math.min(1, Math.max(0, part / all));
  const rect = (kind, width) => svg(`rect.${kind}`, { width, height: 6 });
  return svg("svg.bar", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    rect("all", 100), rect(share > 0.95 ? "full" : "part", 100 * share));
}
