import { describe, expect, test } from 'vitest';
import { createBoundedOutput } from '../../src/runner/boundedOutput.ts';

function read(bytesMax: number, ...chunks: (string | number[])[]) {
  const output = createBoundedOutput(bytesMax);
  for (const chunk of chunks) output.write(Buffer.from(chunk as string));
  return output.read();
}

const mark = (bytes: number) => `\n[… ${bytes} bytes left out …]\n`;

describe('bounded output', () => {
  test.each([
    ['nothing', 10, [], '', 0],
    ['up to the limit', 10, ['01234', '56789'], '0123456789', 10],
    ['an odd limit', 5, ['abcde'], 'abcde', 5],
    ['in single bytes', 6, 'abcdef'.split(''), 'abcdef', 6],
  ])('keeps %s whole', (_, bytesMax, chunks, text, bytes) => {
    expect(read(bytesMax, ...chunks)).toEqual({ text, bytes, isTruncated: false });
  });

  test.each([
    ['one byte too many', 10, ['0123456789a'], `01234${mark(1)}6789a`],
    ['a tail that went round', 4, 'ab,c,d,e,f,g,h,i,j'.split(','), `ab${mark(6)}ij`],
    ['a chunk larger than the whole', 4, [`ab${'-'.repeat(1000)}yz`], `ab${mark(1000)}yz`],
    ['an odd limit', 5, ['abcdefgh'], `abc${mark(3)}gh`],
    ['no room at all', 0, ['abc'], mark(3)],
    ['room for one', 1, ['abc'], `a${mark(2)}`],
  ])('cuts the middle: %s', (_, bytesMax, chunks, text) => {
    expect(read(bytesMax, ...chunks)).toMatchObject({ text, isTruncated: true });
  });

  test('keeps every length of every size of chunk', () => {
    const all = Array.from({ length: 40 }, (_, index) => String.fromCharCode(48 + index)).join('');
    for (let size = 1; size <= 40; size++) {
      const chunks = Array.from({ length: Math.ceil(40 / size) }, (_, at) => all.slice(at * size, (at + 1) * size));
      expect(read(20, ...chunks).text).toBe(all.slice(0, 10) + mark(20) + all.slice(-10));
    }
  });

  test.each(['é', '€', '😀'])('leaves out a %s that a cut goes through, and counts it', (letter) => {
    const text = letter.repeat(50);
    const size = Buffer.byteLength(letter);
    for (let bytesMax = 8; bytesMax < 40; bytesMax++) {
      const kept = Math.floor(Math.ceil(bytesMax / 2) / size) + Math.floor(Math.floor(bytesMax / 2) / size);
      const { text: cut } = read(bytesMax, text);
      expect(cut.replaceAll(letter, '')).toBe(mark((50 - kept) * size));
      expect(cut.split(letter).length - 1).toBe(kept);
    }
  });

  test('joins a character that came in two chunks', () => {
    expect(read(10, [0xe2, 0x82], [0xac]).text).toBe('€');
  });

  test('replaces what is no UTF-8, and keeps null characters and a byte order mark', () => {
    expect(read(20, [0x61, 0xff, 0x00, 0xc3]).text).toBe('a\uFFFD\0\uFFFD');
    expect(read(20, '\uFEFFa').text).toBe('\uFEFFa');
  });
});
