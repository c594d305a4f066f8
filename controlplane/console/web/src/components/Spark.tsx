import classes from './Spark.module.css';

/** A line of values, for tables and tiles. What it shows is said in words beside it, or by label. */
export function Spark({ values, label, width = 72, height = 20, color = 'var(--t-1)', kind = 'line' }: { values: number[]; label?: string; width?: number; height?: number; color?: string; kind?: 'line' | 'bars' }) {
  const most = Math.max(...values, 0);
  const a11y = label ? { role: 'img', 'aria-label': label } : { 'aria-hidden': true };
  if (values.length < 2 || most <= 0) return <svg width={width} height={height} {...a11y} className={classes.spark}><line x1="0" x2={width} y1={height - 1} y2={height - 1} stroke="var(--t-line)" /></svg>;
  const x = (i: number) => (i / (values.length - 1)) * (width - 2) + 1;
  const y = (v: number) => height - 1 - (v / most) * (height - 3);
  if (kind === 'bars') {
    const w = width / values.length;
    return (
      <svg width={width} height={height} {...a11y} className={classes.spark}>
        {values.map((v, i) => (
          <rect key={i} x={i * w + 0.5} width={Math.max(w - 1, 0.5)} y={y(v)} height={height - y(v)} fill={color} rx={0.5} />
        ))}
      </svg>
    );
  }
  const line = values.map((v, i) => `${i ? 'L' : 'M'}${x(i).toFixed(1)} ${y(v).toFixed(1)}`).join('');
  return (
    <svg width={width} height={height} {...a11y} className={classes.spark}>
      <path d={`${line}L${x(values.length - 1)} ${height}L1 ${height}Z`} fill={color} opacity={0.12} />
      <path d={line} fill="none" stroke={color} strokeWidth={1.5} strokeLinejoin="round" />
    </svg>
  );
}
