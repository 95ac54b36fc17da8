#!/usr/bin/env escript
%% The same work by peer and erpc. Its distribution and its epmd are on
%% loopback; both ports are given.
-mode(compile).

main([CallsText]) ->
    Calls = list_to_integer(CallsText),
    {ok, _} = net_kernel:start(['bench@127.0.0.1', longnames]),
    Begin = erlang:monotonic_time(nanosecond),
    Self = self(),
    Names = ["a", "b", "c"],
    [spawn(fun() ->
        {ok, Peer, Node} = peer:start(#{name => list_to_atom(N), host => "127.0.0.1", longnames => true,
            args => ["-setcookie", atom_to_list(erlang:get_cookie()), "-kernel", "inet_dist_use_interface", "{127,0,0,1}"]}),
        Node = erpc:call(Node, erlang, node, []),
        Self ! {up, N, Peer, Node},
        receive stop -> peer:stop(Peer), Self ! stopped end
     end) || N <- Names],
    Nodes = [receive {up, N, _, Node} -> Node end || N <- Names],
    Start = erlang:monotonic_time(nanosecond) - Begin,
    Node = hd(Nodes),
    Small = binary:copy(<<"x">>, 64),
    Large = binary:copy(<<"x">>, 1 bsl 20),
    SmallTime = median(Node, Small, Calls),
    LargeTime = median(Node, Large, max(Calls div 20, 5)),
    Each = Calls div 8,
    Begin2 = erlang:monotonic_time(nanosecond),
    [spawn(fun() -> [Small = echo(Node, Small) || _ <- lists:seq(1, Each)], Self ! done end) || _ <- lists:seq(1, 64)],
    [receive done -> ok end || _ <- lists:seq(1, 64)],
    Callers = (erlang:monotonic_time(nanosecond) - Begin2) / (64 * Each),
    io:format("peers {\"Start\":~p,\"Small\":~p,\"Large\":~p,\"Callers\":~p}~n", [Start, SmallTime, LargeTime, Callers]),
    [rpc:cast(N, erlang, halt, []) || N <- Nodes],
    halt(0).

echo(Node, Bin) -> erpc:call(Node, erlang, iolist_to_binary, [Bin]).

median(Node, Bin, N) ->
    [echo(Node, Bin) || _ <- lists:seq(1, max(N div 10, 2))],
    Times = lists:sort([begin
        T = erlang:monotonic_time(nanosecond),
        Bin = echo(Node, Bin),
        erlang:monotonic_time(nanosecond) - T
    end || _ <- lists:seq(1, N)]),
    lists:nth(N div 2 + 1, Times).
