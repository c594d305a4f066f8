import { Text, Tooltip } from '@mantine/core';
import { exact, type Money, nanos, short } from '@/lib/money';

/** An amount of money: short, with all digits on hover where they differ. */
export function Amount({ value, className }: { value: bigint | Money | undefined; className?: string }) {
  if (value === undefined) return <span className="dim">–</span>;
  const n = typeof value === 'bigint' ? value : nanos(value);
  const shown = short(n);
  const all = exact(n);
  const text = <span className={`num ${className ?? ''}`}>{shown}</span>;
  return shown === all ? text : <Tooltip label={<Text size="xs" className="num">{`${all} USD`}</Text>}>{text}</Tooltip>;
}
