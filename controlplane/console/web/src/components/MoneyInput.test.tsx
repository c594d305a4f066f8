import { MantineProvider } from '@mantine/core';
import { cleanup, fireEvent, render, screen } from '@testing-library/react';
import { useState } from 'react';
import { afterEach, describe, expect, it } from 'vitest';
import { MoneyInput } from './MoneyInput';

afterEach(cleanup);

const seen: (bigint | undefined)[] = [];
let put: (n: bigint | undefined) => void;
function Field({ start }: { start: bigint | undefined }) {
  const [value, setValue] = useState(start);
  put = setValue;
  return (
    <MantineProvider>
      <MoneyInput
        label="Price"
        value={value}
        onChange={(n) => {
          seen.push(n);
          setValue(n);
        }}
      />
    </MantineProvider>
  );
}
const type = (text: string) => fireEvent.change(screen.getByLabelText('Price'), { target: { value: text } });
const shown = () => screen.getByLabelText<HTMLInputElement>('Price').value;

describe('a field for an amount', () => {
  it('keeps what was typed and tells nano-dollars', () => {
    seen.length = 0;
    render(<Field start={undefined} />);
    for (const text of ['1', '12', '12.', '12.0', '12.00']) {
      type(text);
      expect(shown()).toBe(text);
    }
    expect(seen).toEqual([1_000_000_000n, 12_000_000_000n]);
    type('$1,200.000000001');
    expect([shown(), seen.at(-1)]).toEqual(['$1,200.000000001', 1_200_000_000_001n]);
  });

  it('says what is no amount, and tells none', () => {
    seen.length = 0;
    render(<Field start={5_000_000_000n} />);
    expect(shown()).toBe('5.00');
    type('1.0000000001');
    expect(seen).toEqual([undefined]);
    const input = screen.getByLabelText<HTMLInputElement>('Price');
    expect(input.validity.customError).toBe(true);
    fireEvent.blur(input);
    expect(screen.getByText('Up to 9 decimals.')).toBeTruthy();
    expect(shown()).toBe('1.0000000001');
    type('-1');
    expect(screen.getByText('Enter 0 or more.')).toBeTruthy();
    type('1');
    expect(input.validity.valid).toBe(true);
    expect(seen.at(-1)).toBe(1_000_000_000n);
  });

  it('shows another amount that comes from outside', async () => {
    render(<Field start={5_000_000_000n} />);
    type('7.');
    put(400_000n);
    await screen.findByDisplayValue('0.0004');
    put(undefined);
    await screen.findByDisplayValue('');
  });
});
