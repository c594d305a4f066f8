// Messages that stand inside others as JSON of any type.

import { createRegistry } from '@bufbuild/protobuf';
import { BadRequestSchema, ErrorInfoSchema } from '@/gen/google/rpc/error_details_pb';

export const registry = createRegistry(ErrorInfoSchema, BadRequestSchema);
