// What NODE_OPTIONS loads into every Node process of a loopback pod, before the program: see docs/local-loopback.md. Bundled as CommonJS, which every Node can --require.
import { installFromEnvironment } from '../local/loopback/preload/install.ts';

installFromEnvironment();
