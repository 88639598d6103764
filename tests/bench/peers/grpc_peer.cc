// SPDX-License-Identifier: BSD-3-Clause
// The echo service over gRPC C++ with one completion queue and one thread on each side.
//   grpc_peer server HOST:PORT        grpc_peer client HOST:PORT [option...]
#include "tests/bench/meter.h"

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "bench.grpc.pb.h"

using phoenix::bench::Echo;
using phoenix::bench::EchoReply;
using phoenix::bench::EchoRequest;

namespace
{

constexpr unsigned kServerCalls = 256;
constexpr unsigned kIdleCalls = 1000;

// One call slot of the server: waits for a request, answers, waits again.
class ServerCall
{
      public:
	ServerCall(Echo::AsyncService *service, grpc::ServerCompletionQueue *queue)
	    : service_(service), queue_(queue)
	{
		Arm();
	}
	void Step(bool ok)
	{
		if (!ok || replied_) {
			Arm();
			return;
		}
		reply_.set_payload(std::string(request_.reply_size(), 'R'));
		replied_ = true;
		writer_->Finish(reply_, grpc::Status::OK, this);
	}

      private:
	void Arm()
	{
		replied_ = false;
		writer_.reset();
		context_ = std::make_unique<grpc::ServerContext>();
		writer_ = std::make_unique<grpc::ServerAsyncResponseWriter<EchoReply>>(
			context_.get());
		service_->RequestCall(
			context_.get(), &request_, writer_.get(), queue_, queue_, this);
	}

	Echo::AsyncService *service_;
	grpc::ServerCompletionQueue *queue_;
	std::unique_ptr<grpc::ServerContext> context_;
	std::unique_ptr<grpc::ServerAsyncResponseWriter<EchoReply>> writer_;
	EchoRequest request_;
	EchoReply reply_;
	bool replied_ = false;
};

int Server(const meter_options &options)
{
	grpc::ServerBuilder builder;
	Echo::AsyncService service;

	builder.AddListeningPort(options.targets[0], grpc::InsecureServerCredentials());
	builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
	builder.SetMaxReceiveMessageSize(-1);
	builder.RegisterService(&service);
	auto queue = builder.AddCompletionQueue();
	auto server = builder.BuildAndStart();
	if (server == nullptr)
		return 1;
	std::vector<std::unique_ptr<ServerCall>> calls;
	for (unsigned i = 0; i < kServerCalls; i++)
		calls.push_back(std::make_unique<ServerCall>(&service, queue.get()));
	void *tag;
	bool ok;
	while (queue->Next(&tag, &ok))
		static_cast<ServerCall *>(tag)->Step(ok);
	return 0;
}

struct ClientCall {
	std::unique_ptr<grpc::ClientContext> context;
	std::unique_ptr<grpc::ClientAsyncResponseReader<EchoReply>> reader;
	EchoReply reply;
	grpc::Status status;
	uint64_t began_ns = 0;
};

class Client
{
      public:
	explicit Client(const meter_options &options) : options_(options)
	{
		grpc::ChannelArguments arguments;

		arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
		arguments.SetMaxReceiveMessageSize(-1);
		stub_ = Echo::NewStub(grpc::CreateCustomChannel(
			options.targets[0], grpc::InsecureChannelCredentials(), arguments));
		request_.set_payload(std::string(options.size, 'Z'));
		request_.set_reply_size(options.reply);
	}
	// Blocking calls, to connect or before a quiet time.
	bool Warm(unsigned calls)
	{
		for (unsigned i = 0; i < calls; i++) {
			grpc::ClientContext context;
			EchoReply reply;

			context.set_wait_for_ready(true);
			if (!Check(stub_->Call(&context, request_, &reply)))
				return false;
		}
		return true;
	}
	bool Run(meter *m)
	{
		std::vector<ClientCall> calls(options_.outstanding);
		void *tag;
		bool ok;
		bool more = true;
		size_t running = calls.size();

		meter_start(m);
		for (auto &call : calls)
			Start(&call);
		while (running > 0 && queue_.Next(&tag, &ok)) {
			auto *call = static_cast<ClientCall *>(tag);

			if (!Check(call->status))
				return false;
			more = more && meter_done(m, call->began_ns, meter_now_ns());
			if (more)
				Start(call);
			else
				running--;
		}
		return true;
	}

      private:
	void Start(ClientCall *call)
	{
		call->reader.reset();
		call->context = std::make_unique<grpc::ClientContext>();
		call->began_ns = meter_now_ns();
		call->reader = stub_->AsyncCall(call->context.get(), request_, &queue_);
		call->reader->Finish(&call->reply, &call->status, call);
	}
	static bool Check(const grpc::Status &status)
	{
		if (!status.ok())
			fprintf(stderr, "grpc_peer: status %d %s\n", status.error_code(),
				status.error_message().c_str());
		return status.ok();
	}

	const meter_options &options_;
	std::unique_ptr<Echo::Stub> stub_;
	EchoRequest request_;
	grpc::CompletionQueue queue_;
};

int RunClient(const meter_options &options)
{
	Client client(options);
	meter m = {};
	bool ok;

	if (!client.Warm(options.idle_s > 0 ? kIdleCalls : 1))
		return 1;
	if (options.idle_s > 0) {
		meter_idle(&options, stdout);
		return 0;
	}
	if (meter_init(&m, &options) != 0)
		return 1;
	ok = client.Run(&m);
	if (ok)
		meter_result_print(&options, m.result, stdout);
	meter_fini(&m);
	return ok ? 0 : 1;
}

} // namespace

int main(int argc, char **argv)
{
	meter_options options;

	if (meter_options_parse(&options, argc, argv) != 0) {
		fputs("usage: grpc_peer server|client HOST:PORT [option...]\n", stderr);
		meter_options_print(stderr);
		return 2;
	}
	if (meter_pin(options.pin) != 0)
		return 1;
	return strcmp(options.role, "client") == 0 ? RunClient(options) : Server(options);
}
