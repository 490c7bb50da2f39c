declare module 'swagger-ui-dist/absolute-path.js' {
  /** Folder of the browser's files. */
  export default function absolutePath(): string;
}
