/** A stream's text, kept as head and tail: memory does not grow with what a command prints. */
export interface BoundedOutput {
  write(chunk: Uint8Array): void;
  /**
   * Bytes from an offset on, `newestMax` of the newest at the most: they are those from `start` to `end`, from where to go on.
   */
  readSince(offset: number, newestMax: number): { chunk: Buffer; start: number; end: number };
  /** Invalid UTF-8 is replaced by U+FFFD; a cut is marked by a line that tells how many bytes it left out. */
  read(): { text: string; bytes: number; isTruncated: boolean };
}

export function createBoundedOutput(bytesMax: number): BoundedOutput {
  const headMax = Math.ceil(bytesMax / 2);
  const tailMax = Math.floor(bytesMax / 2);
  let head = Buffer.alloc(0);
  let headLength = 0;
  let tail = Buffer.alloc(0);
  let tailBytes = 0;

  const writeHead = (chunk: Uint8Array) => {
    const part = chunk.subarray(0, headMax - headLength);
    if (headLength + part.length > head.length) {
      const grown = Buffer.allocUnsafe(Math.min(headMax, Math.max(headLength + part.length, head.length * 2)));
      head.copy(grown, 0, 0, headLength);
      head = grown;
    }
    head.set(part, headLength);
    headLength += part.length;
    return chunk.subarray(part.length);
  };

  // A ring: byte n of what follows the head stands at n modulo its size.
  const writeTail = (chunk: Uint8Array) => {
    if (tail.length === 0) tail = Buffer.allocUnsafe(tailMax);
    const kept = chunk.subarray(Math.max(0, chunk.length - tailMax));
    const at = (tailBytes + chunk.length - kept.length) % tailMax;
    const first = kept.subarray(0, tailMax - at);
    tail.set(first, at);
    tail.set(kept.subarray(first.length), 0);
    tailBytes += chunk.length;
  };

  const readTail = () => {
    const end = tailBytes % (tailMax || 1);
    return tailBytes <= tailMax
      ? tail.subarray(0, tailBytes)
      : Buffer.concat([tail.subarray(end), tail.subarray(0, end)]);
  };

  return {
    write(chunk) {
      const rest = headLength < headMax ? writeHead(chunk) : chunk;
      if (rest.length > 0) writeTail(rest);
    },
    readSince(offset, newestMax) {
      const total = headLength + tailBytes;
      const wanted = Math.max(offset, total - newestMax);
      if (wanted < headLength) {
        return { chunk: head.subarray(wanted, headLength), start: wanted, end: headLength };
      }
      const oldest = headLength + Math.max(0, tailBytes - tailMax);
      const from = Math.max(wanted, oldest);
      return { chunk: readTail().subarray(from - oldest), start: from, end: total };
    },
    read() {
      const bytes = headLength + tailBytes;
      const [first, last] = [head.subarray(0, headLength), readTail()];
      if (bytes <= bytesMax) return { text: decode(Buffer.concat([first, last])), bytes, isTruncated: false };
      const [start, end] = [withoutBrokenEnd(first), withoutBrokenStart(last)];
      const mark = `\n[… ${bytes - start.length - end.length} bytes left out …]\n`;
      return { text: decode(start) + mark + decode(end), bytes, isTruncated: true };
    },
  };
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const decode = (bytes: Uint8Array) => decoder.decode(bytes);

const isContinuation = (byte: number | undefined) => byte !== undefined && (byte & 0xc0) === 0x80;
const lengthOfSequence = (lead: number) => (lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1);

/** Without the character that the cut went through, if it did. */
function withoutBrokenEnd(bytes: Buffer): Buffer {
  for (let back = 1; back <= Math.min(4, bytes.length); back++) {
    const byte = bytes.at(-back) ?? 0;
    if (!isContinuation(byte)) return lengthOfSequence(byte) > back ? bytes.subarray(0, -back) : bytes;
  }
  return bytes;
}

function withoutBrokenStart(bytes: Buffer): Buffer {
  let from = 0;
  while (from < 3 && isContinuation(bytes[from])) from++;
  return bytes.subarray(from);
}
