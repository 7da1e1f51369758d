/**
 * How metrics are presented: their chart, label and colour (a custom property of the style sheet). A metric that is not
 * listed here gets a label made of its name and one of three further colours.
 * @module metrics
 */

/** In the order of the charts and lines. @type {Record<string, {label: string, colour: string, isFilled?: boolean}>} */
const KNOWN = {
  solar_power: { label: "Solar", colour: "solar", isFilled: true },
  load_power: { label: "House", colour: "load" },
  battery_power: { label: "Battery", colour: "battery" },
  grid_power: { label: "Grid", colour: "grid" },
  battery_soc: { label: "Battery charge", colour: "battery", isFilled: true },
  grid_frequency: { label: "Grid frequency", colour: "grid" },
  grid_voltage: { label: "Grid voltage", colour: "grid" },
  battery_voltage: { label: "Battery voltage", colour: "battery" },
  battery_current: { label: "Battery current", colour: "battery" },
};
const FURTHER_COLOURS = ["further-1", "further-2", "further-3"];
/** Metrics of these kinds are shown unless others are chosen. */
const MAIN_KINDS = ["power", "percent"];

/** One colour per device when several devices are compared. */
const DEVICE_COLOURS = ["device-1", "device-2", "device-3", "device-4", "device-5", "device-6"];

/**
 * @typedef {Api.Metric & {label: string, colour: string, isFilled: boolean, isMain: boolean}} Presented
 * @typedef {{deviceId: string, metric: string, label: string, colour: string, isFilled: boolean}} Line
 * @typedef {{id: string, title: string, unit: string, axisUnit: string, bounds: [number, number] | null, lines: Line[]}} ChartSpec
 *   `bounds`: of the value axis; null if it follows the data
 * @typedef {Pick<Api.Device, "device_id" | "name">} NamedDevice
 */

/** @param {Api.Metric[]} catalogue @returns {Presented[]} in the order in which they are shown */
export function present(catalogue) {
  const order = Object.keys(KNOWN);
  const place = (/** @type {Api.Metric} */ { name }) => (name in KNOWN ? order.indexOf(name) : order.length);
  return [...catalogue]
    .sort((one, other) => place(one) - place(other))
    .map((metric, index) => ({
      ...metric,
      label: KNOWN[metric.name]?.label ?? metric.name.replaceAll("_", " "),
      colour: KNOWN[metric.name]?.colour ?? FURTHER_COLOURS[index % FURTHER_COLOURS.length],
      isFilled: KNOWN[metric.name]?.isFilled ?? false,
      isMain: MAIN_KINDS.includes(metric.kind),
    }));
}

/**
 * Specify the charts. For one device, all powers share a chart and each other metric has its own. For several devices,
 * each metric has its own chart, with one line per device.
 * @param {Presented[]} metrics to show
 * @param {NamedDevice[]} devices
 * @returns {ChartSpec[]}
 */
export function chartSpecs(metrics, devices) {
  if (devices.length > 1)
    return metrics.map((metric) => spec(metric.name, metric.label, metric, compared(metric, devices)));
  const line = (/** @type {Presented} */ { name, label, colour, isFilled }) => ({
    deviceId: devices[0]?.device_id ?? "",
    metric: name,
    label,
    colour,
    isFilled,
  });
  const power = metrics.filter((metric) => metric.kind === "power" && metric.unit === "W");
  const others = metrics.filter((metric) => !power.includes(metric));
  return [
    ...(power.length > 0 ? [spec("power", "Power", power[0], power.map(line))] : []),
    ...others.map((metric) => spec(metric.name, metric.label, metric, [line(metric)])),
  ];
}

/** @param {Presented} metric @param {NamedDevice[]} devices @returns {Line[]} */
function compared(metric, devices) {
  return devices.map((device, index) => ({
    deviceId: device.device_id,
    metric: metric.name,
    label: device.name || device.device_id,
    colour: DEVICE_COLOURS[index % DEVICE_COLOURS.length],
    isFilled: false,
  }));
}

/** @param {string} id @param {string} title @param {Api.Metric} metric @param {Line[]} lines @returns {ChartSpec} */
function spec(id, title, { unit, kind }, lines) {
  return { id, title, unit, axisUnit: unit === "W" ? "kW" : unit, bounds: kind === "percent" ? [0, 100] : null, lines };
}
