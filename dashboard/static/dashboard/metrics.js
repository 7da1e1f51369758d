/**
 * How the metrics of the catalogue are presented: which chart, which name, which colour (a custom property of the
 * style sheet). Metrics that are not known here get a name made of theirs, and a colour in turn.
 * @module metrics
 */

/** In the order in which they are drawn. @type {Record<string, {label: string, colour: string, isFilled?: boolean}>} */
const KNOWN = {
  solar_power: { label: "Solar", colour: "solar", isFilled: true },
  load_power: { label: "House", colour: "load" },
  battery_power: { label: "Battery", colour: "battery" },
  grid_power: { label: "Grid", colour: "grid" },
  battery_soc: { label: "State of charge", colour: "battery", isFilled: true },
};
const FURTHER_COLOURS = ["further-1", "further-2", "further-3"];

/**
 * @typedef {{name: string, unit: string, kind: string}} Metric as GET /api/metrics has it
 * @typedef {{name: string, label: string, colour: string, isFilled: boolean}} Line
 * @typedef {{id: string, title: string, unit: string, axisUnit: string, bounds: [number, number] | null, lines: Line[]}} ChartSpec
 *   `bounds`: of the value axis, null where it follows the data
 */

/** @param {Metric[]} catalogue @returns {ChartSpec[]} those with something to draw */
export function chartSpecs(catalogue) {
  /** @type {ChartSpec[]} */
  const specs = [
    { id: "power", title: "Power", unit: "W", axisUnit: "kW", bounds: null, lines: lines(catalogue, "power") },
    { id: "charge", title: "Battery charge", unit: "%", axisUnit: "%", bounds: [0, 100], lines: lines(catalogue, "percent") },
  ];
  return specs.filter((spec) => spec.lines.length > 0);
}

/** @param {Metric[]} catalogue @param {string} kind @returns {Line[]} */
function lines(catalogue, kind) {
  const names = catalogue.filter((metric) => metric.kind === kind).map((metric) => metric.name);
  const known = Object.keys(KNOWN).filter((name) => names.includes(name));
  const further = names.filter((name) => !(name in KNOWN));
  return [
    ...known.map((name) => ({ isFilled: false, ...KNOWN[name], name })),
    ...further.map((name, index) => ({
      name,
      label: name.replaceAll("_", " "),
      colour: FURTHER_COLOURS[index % FURTHER_COLOURS.length],
      isFilled: false,
    })),
  ];
}
