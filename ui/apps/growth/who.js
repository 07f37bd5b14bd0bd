// WHO Child Growth Standards (2006, birth to 5 years) and Growth Reference (2007, 5 to 19 years): z-scores by the LMS
// method. who.json holds, for each measure and sex, four lists: age in days, L, M and S. See README.md for their origin.
const WITH_LIMITS = new Set(["weight", "bmi"]);

/** L, M and S at an age in days, interpolated between the two rows around it; null outside of the table. */
export function lms(table, days) {
  const [ages, ...columns] = table;
  if (days === null || days < ages[0] || days > ages[ages.length - 1]) return null;
  const above = ages.findIndex((age) => age >= days);
  if (ages[above] === days) return columns.map((column) => column[above]);
  const share = (days - ages[above - 1]) / (ages[above] - ages[above - 1]);
  return columns.map((column) => column[above - 1] + share * (column[above] - column[above - 1]));
}

/** The measure at a z-score. */
export function valueAt([l, m, s], z) {
  return l === 0 ? m * Math.exp(s * z) : m * (1 + l * s * z) ** (1 / l);
}

/** The z-score of a measure. For weight and body mass index, beyond three standard deviations the distance is counted
 * in steps of the last one, as WHO does: the tail of the distribution is not trusted. */
export function zScore(measure, row, value) {
  const [l, m, s] = row;
  const z = l === 0 ? Math.log(value / m) / s : ((value / m) ** l - 1) / (l * s);
  if (!WITH_LIMITS.has(measure) || Math.abs(z) <= 3) return z;
  const side = Math.sign(z);
  const third = valueAt(row, 3 * side);
  return side * (3 + Math.abs(value - third) / Math.abs(third - valueAt(row, 2 * side)));
}

/** The percentile (0 to 100) of a z-score. Abramowitz and Stegun 26.2.17, exact to 7 digits. */
export function percentile(z) {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const poly = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const upper = (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * poly;
  return 100 * (z < 0 ? upper : 1 - upper);
}
