declare module 'swagger-ui-dist' {
  /** Folder of the browser's files. */
  export function absolutePath(): string;
}
