export const say = (what: string) => console.log(`ok  ${what}`);
