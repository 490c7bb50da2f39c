import type { CountedFolder } from '../../services/folders.ts';
import { envelopeOf } from '../envelope.ts';
import { z } from '../zod.ts';

export const SingleFolder = z
  .object({
    id: z.int(),
    name: z.string(),
    expression: z.string(),
    job_count: z.int().openapi({ description: 'Jobs that match now' }),
  })
  .openapi('SingleFolder');
export const SingleFolderMessage = envelopeOf(SingleFolder, 'SingleFolderMessage');
export const FolderArray = z.array(SingleFolder).openapi('FolderArray');
export const FolderArrayMessage = envelopeOf(FolderArray, 'FolderArrayMessage');

export const toSingleFolder = ({ id, name, expression, jobCount }: CountedFolder): z.infer<typeof SingleFolder> => ({
  id,
  name,
  expression,
  job_count: jobCount,
});
