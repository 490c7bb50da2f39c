/** zod with `.openapi()`: the one place that it comes from. */
export { z } from '@hono/zod-openapi';
