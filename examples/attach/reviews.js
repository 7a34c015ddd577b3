// The version of `reviews` that you are working on: run it in your IDE, with a debugger, as you like. It knows nothing of the mesh.
import http from 'node:http';

const port = Number(process.env.PORT ?? 9080);
const server = http.createServer((request, response) => {
  const reviews = [{ reviewer: 'You', text: 'This comes from my machine.', rating: { stars: 5, color: 'blue' } }];
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ id: '0', podname: 'reviews-dev-on-my-machine', clustername: 'null', reviews }));
});
server.listen(port, '127.0.0.1', () => console.log(`reviews at 127.0.0.1:${server.address().port}`));
