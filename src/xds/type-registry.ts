/** Every generated type by name. It loads all generated code (several megabytes of memory): a sidecar imports it only when somebody asks. */
import { createRegistry, type Registry } from '@bufbuild/protobuf';
import { file_google_protobuf_any, file_google_protobuf_duration, file_google_protobuf_empty, file_google_protobuf_struct, file_google_protobuf_timestamp, file_google_protobuf_wrappers } from '@bufbuild/protobuf/wkt';
import { GENERATED_FILES } from './gen/files.ts';

const WELL_KNOWN = [file_google_protobuf_any, file_google_protobuf_duration, file_google_protobuf_empty, file_google_protobuf_struct, file_google_protobuf_timestamp, file_google_protobuf_wrappers];

/** All message types that can stand in an Any. */
export const typeRegistry: Registry = createRegistry(...WELL_KNOWN, ...GENERATED_FILES);
