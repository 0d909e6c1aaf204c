#include "cluster/dashboard/http_server.h"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <thread>

#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using ErrorCode = boost::system::error_code;

// Nothing but our own files and answers, in no frame, with no code in the page itself.
constexpr std::pair<const char*, const char*> kHeaders[] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; img-src 'self' data:; "
     // The one attribute is dygraphs' own: "margin: 0; padding: 0 0 0 1em; border: 0;".
     "style-src 'self' 'unsafe-hashes' 'sha256-MJyOH6fkfzWPCLv2CfAAYjOtxkqoLBYZsmiMyy1D4sc='; "
     "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cache-Control", "no-store"},
};

std::string text_of(beast::string_view view) { return {view.data(), view.size()}; }

// The server's own thread runs all that is here, but for what says otherwise.
class Connection;

struct Shared {
  HttpServer::Limits limits{};
  HttpServer::Serve serve{};
  HttpServer::News news{};
  asio::io_context context{1};
  std::set<std::shared_ptr<Connection>> connections{};
  std::map<std::string, size_t> per_address{};
  std::string newest{};  // News that all streams are told.
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, std::string address, const std::shared_ptr<Shared>& shared)
      : stream_(std::move(socket)),
        deadline_(shared->context),
        address_(std::move(address)),
        shared_(shared) {}

  void read() {
    parser_.emplace();
    parser_->header_limit(static_cast<uint32_t>(shared_->limits.header_bytes));
    parser_->body_limit(shared_->limits.body_bytes);
    stream_.expires_after(shared_->limits.request);
    http::async_read(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](ErrorCode error, size_t) { self->was_read(error); });
  }

  void tell_news() {
    if (!is_stream_ || is_writing_) return;
    const auto now = std::chrono::steady_clock::now();
    const bool is_new = told_ != shared_->newest;
    if (!is_new && now - told_at_ < shared_->limits.sign_of_life) return;
    told_ = shared_->newest;
    told_at_ = now;
    // A comment is a sign of life that no page hears.
    write_event(is_new ? "data: " + told_ + "\n\n" : ":\n\n");
  }

  void close() {
    if (is_closed_) return;
    is_closed_ = true;
    deadline_.cancel();
    ErrorCode ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
    stream_.close();
    const auto of_address = shared_->per_address.find(address_);
    if (of_address != shared_->per_address.end() && --of_address->second == 0) {
      shared_->per_address.erase(of_address);
    }
    shared_->connections.erase(shared_from_this());
  }

 private:
  void was_read(ErrorCode error) {
    if (error == http::error::header_limit) return refuse(431, "the request's header is too long");
    if (error == http::error::body_limit) return refuse(413, "the request's body is too long");
    if (error && error.category() == http::make_error_code(http::error::bad_method).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message) {
      return refuse(400, "this is no HTTP request");
    }
    if (error) return close();
    const auto& message = parser_->get();
    is_kept_ = message.keep_alive();
    is_head_ = message.method() == http::verb::head;
    if (message.method() != http::verb::get && message.method() != http::verb::head &&
        message.method() != http::verb::post) {
      return refuse(405, "only GET, HEAD and POST are known here");
    }
    auto target = parse_target({message.target().data(), message.target().size()});
    if (!target) return refuse(400, "the request's target cannot be read");
    HttpRequest request{.method = text_of(message.method_string()), .target = std::move(*target)};
    const std::pair<http::field, std::string*> wanted[] = {
        {http::field::host, &request.host},
        {http::field::origin, &request.origin},
        {http::field::cookie, &request.cookie},
        {http::field::authorization, &request.authorization}};
    for (const auto& [field, where] : wanted) {
      if (message.count(field) > 1) return refuse(400, "a header is there twice");
      *where = text_of(message[field]);
    }
    request.fetch_site = text_of(message["Sec-Fetch-Site"]);
    request.body = message.body();
    ask(std::move(request));
  }

  void ask(HttpRequest request) {
    const uint64_t number = ++asked_;
    deadline_.expires_after(shared_->limits.answer);
    deadline_.async_wait([self = shared_from_this(), number](ErrorCode error) {
      if (!error) self->answered(number, http_error(504, "the head has not answered in time"));
    });
    shared_->serve(
        std::move(request), [weak = weak_from_this(), shared = shared_, number](HttpReply reply) {
          // From any thread.
          asio::post(shared->context, [weak, number, reply = std::move(reply)]() mutable {
            if (const auto self = weak.lock()) self->answered(number, std::move(reply));
          });
        });
  }

  void answered(uint64_t number, HttpReply reply) {
    if (is_closed_ || number != asked_ || number == answered_) return;
    answered_ = number;
    deadline_.cancel();
    if (reply.is_event_stream) {
      begin_stream();
    } else {
      write(std::move(reply));
    }
  }

  void refuse(unsigned status, std::string_view what) {
    is_kept_ = false;
    write(http_error(status, what));
  }

  template <class Body>
  void fill(http::response<Body>& response) const {
    response.set(http::field::server, "troupe");
    for (const auto& [name, value] : kHeaders) response.set(name, value);
  }

  void write(HttpReply reply) {
    body_ = std::move(reply.body);
    response_.emplace(static_cast<http::status>(reply.status), 11);
    fill(*response_);
    response_->set(http::field::content_type, reply.content_type);
    for (const auto& [name, value] : reply.headers) response_->set(name, value);
    response_->keep_alive(is_kept_);
    // A HEAD is told how long the body would be, without it.
    response_->content_length(body_->size());
    if (!is_head_) response_->body() = {body_->data(), body_->size()};
    serializer_.emplace(*response_);
    stream_.expires_after(shared_->limits.write);
    const auto done = [self = shared_from_this()](ErrorCode error, size_t) {
      self->was_written(error);
    };
    if (is_head_) {
      http::async_write_header(stream_, *serializer_, done);
    } else {
      http::async_write(stream_, *serializer_, done);
    }
  }

  void was_written(ErrorCode error) {
    serializer_.reset();
    response_.reset();
    body_.reset();
    if (error || !is_kept_) return close();
    read();
  }

  void begin_stream() {
    is_stream_ = true;
    http::response<http::empty_body> head(http::status::ok, 11);
    fill(head);
    head.set(http::field::content_type, "text/event-stream");
    head.keep_alive(false);
    std::ostringstream text;
    text << head.base();
    told_ = shared_->newest;
    told_at_ = std::chrono::steady_clock::now();
    write_event(text.str() + "retry: 1000\n\ndata: " + told_ + "\n\n");
    // Nothing more is asked here; it ends when the viewer does.
    stream_.socket().async_read_some(
        asio::buffer(ignored_), [self = shared_from_this()](ErrorCode, size_t) { self->close(); });
  }

  void write_event(std::string event) {
    is_writing_ = true;
    event_ = std::move(event);
    // A viewer that does not take it in time is dropped; meanwhile news pass it by.
    deadline_.expires_after(shared_->limits.write);
    deadline_.async_wait([self = shared_from_this()](ErrorCode error) {
      if (!error && self->is_writing_) self->close();
    });
    asio::async_write(stream_.socket(), asio::buffer(event_),
                      [self = shared_from_this()](ErrorCode error, size_t) {
                        self->is_writing_ = false;
                        self->deadline_.cancel();
                        if (error) self->close();
                      });
  }

  beast::tcp_stream stream_;
  asio::steady_timer deadline_;
  const std::string address_;
  const std::shared_ptr<Shared> shared_;
  beast::flat_buffer buffer_{64 << 10};
  std::optional<http::request_parser<http::string_body>> parser_{};
  std::optional<http::response<http::span_body<const char>>> response_{};
  std::optional<http::response_serializer<http::span_body<const char>>> serializer_{};
  std::shared_ptr<const std::string> body_{};
  uint64_t asked_ = 0, answered_ = 0;
  bool is_kept_ = true;
  bool is_head_ = false;
  bool is_closed_ = false;
  bool is_stream_ = false;
  bool is_writing_ = false;
  std::string told_{};
  std::chrono::steady_clock::time_point told_at_{};
  std::string event_{};
  std::array<char, 64> ignored_{};
};

}  // namespace

HttpReply http_error(unsigned status, std::string_view what) {
  return {.status = status,
          .body = std::make_shared<const std::string>(
              to_text(nlohmann::json{{"error", what}}, {.replaces_invalid = true}))};
}

class HttpServer::Implementation {
 public:
  Implementation(Listening listening, Limits limits, Serve serve, News news)
      : address_(listening.address),
        shared_(std::make_shared<Shared>()),
        acceptor_(shared_->context),
        retry_(shared_->context),
        ticker_(shared_->context) {
    shared_->limits = limits;
    shared_->serve = std::move(serve);
    shared_->news = std::move(news);
    acceptor_.assign(protocol_, listening.socket.release());
    acceptor_.non_blocking(true);
    accept();
    tick();
    thread_ = std::thread([this] { shared_->context.run(); });
  }

  ~Implementation() {
    asio::post(shared_->context, [this] {
      ErrorCode ignored;
      acceptor_.close(ignored);
      retry_.cancel();
      ticker_.cancel();
      const auto connections = shared_->connections;
      for (const auto& one : connections) one->close();
      shared_->context.stop();
    });
    thread_.join();
    // Answers that come later find nobody.
    shared_->serve = {};
    shared_->news = {};
  }

  const HostPort& address() const { return address_; }

 private:
  void accept() {
    acceptor_.async_wait(tcp::acceptor::wait_read, [this](ErrorCode error) {
      if (error) return;
      // Worker processes are started at any moment and must not get it.
      Descriptor accepted(
          ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (accepted) {
        tcp::socket socket(shared_->context);
        socket.assign(protocol_, accepted.release());
        welcome(std::move(socket));
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        // Those who are there may end meanwhile.
        retry_.expires_after(shared_->limits.news);
        retry_.async_wait([this](ErrorCode cancelled) {
          if (!cancelled) accept();
        });
        return;
      }
      accept();
    });
  }

  // Who comes when there are as many as there may be is hung up on.
  void welcome(tcp::socket socket) {
    ErrorCode error;
    const auto peer = socket.remote_endpoint(error);
    if (error || shared_->connections.size() >= shared_->limits.connections_max) return;
    const std::string address = peer.address().to_string();
    size_t& of_address = shared_->per_address[address];
    if (of_address >= shared_->limits.connections_per_address && !peer.address().is_loopback()) {
      return;
    }
    ++of_address;
    socket.set_option(tcp::no_delay(true), error);
    const auto connection = std::make_shared<Connection>(std::move(socket), address, shared_);
    shared_->connections.insert(connection);
    connection->read();
  }

  void tick() {
    ticker_.expires_after(shared_->limits.news);
    ticker_.async_wait([this](ErrorCode error) {
      if (error) return;
      shared_->newest = shared_->news();
      const auto connections = shared_->connections;
      for (const auto& one : connections) one->tell_news();
      tick();
    });
  }

  const HostPort address_;
  const tcp protocol_ = address_.host.find(':') != std::string::npos ? tcp::v6() : tcp::v4();
  const std::shared_ptr<Shared> shared_;
  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  asio::steady_timer ticker_;
  std::thread thread_{};
};

Result<std::unique_ptr<HttpServer>> HttpServer::open(Options options, Serve serve, News news) {
  auto listening = listen_at(options.address);
  if (!listening) return listening.error();
  return std::unique_ptr<HttpServer>(new HttpServer(std::make_unique<Implementation>(
      std::move(*listening), options.limits, std::move(serve), std::move(news))));
}

HttpServer::HttpServer(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
HttpServer::~HttpServer() = default;

const HostPort& HttpServer::address() const { return implementation_->address(); }

}  // namespace troupe::cluster
