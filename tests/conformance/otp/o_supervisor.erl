%% A supervisor tree restarts killed children by each strategy, gives up when restarts are too many.
-module(o_supervisor).
-behaviour(supervisor).
-export([main/0, init/1, start_worker/1, worker/1]).

main() ->
    process_flag(trap_exit, true),
    logger:set_primary_config(level, none),
    [strategy(S) || S <- [one_for_one, one_for_all, rest_for_one]],
    {ok, Dyn} = supervisor:start_link(?MODULE, simple),
    Kids = [element(2, supervisor:start_child(Dyn, [N])) || N <- [d1, d2, d3]],
    io:format("dynamic ~p~n", [supervisor:count_children(Dyn)]),
    ok = supervisor:terminate_child(Dyn, hd(Kids)),
    io:format("after terminate ~p~n", [proplists:get_value(active, supervisor:count_children(Dyn))]),
    stop(Dyn),
    {ok, Weak} = supervisor:start_link(?MODULE, weak),
    [kill(w1) || _ <- [1, 2]],
    receive {'EXIT', Weak, R} -> io:format("gave up ~p~n", [R]) after 2000 -> io:format("still there~n") end,
    {ok, Top} = supervisor:start_link(?MODULE, tree),
    io:format("tree ~p~n", [[{Id, T} || {Id, _, T, _} <- supervisor:which_children(Top)]]),
    kill(leaf),
    wait_name(leaf),
    io:format("leaf is back~n"),
    stop(Top),
    io:format("gone ~p~n", [whereis(leaf)]).

strategy(S) ->
    {ok, Sup} = supervisor:start_link({local, sup}, ?MODULE, {S, [a, b, c]}),
    [wait_name(N) || N <- [a, b, c]],
    Before = pids(),
    kill(b),
    wait_name(a), wait_name(b), wait_name(c),
    timer:sleep(20),
    After = pids(),
    io:format("~p changed ~p~n", [S, [N || {N, P} <- Before, proplists:get_value(N, After) =/= P]]),
    stop(Sup).

pids() -> [{N, whereis(N)} || N <- [a, b, c]].

kill(Name) ->
    Pid = wait_name(Name),
    Ref = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Ref, _, _, killed} -> ok end.

wait_name(Name) ->
    case whereis(Name) of
        undefined -> timer:sleep(5), wait_name(Name);
        Pid -> Pid
    end.

stop(Sup) ->
    unlink(Sup),
    Ref = monitor(process, Sup),
    exit(Sup, shutdown),
    receive {'DOWN', Ref, _, _, R} -> io:format("stopped ~p~n", [R]) end.

init({Strategy, Names}) ->
    {ok, {#{strategy => Strategy, intensity => 5, period => 10}, [child(N) || N <- Names]}};
init(simple) ->
    {ok, {#{strategy => simple_one_for_one, intensity => 1, period => 5},
          [#{id => w, start => {?MODULE, start_worker, []}, restart => temporary}]}};
init(weak) ->
    {ok, {#{strategy => one_for_one, intensity => 1, period => 5}, [child(w1)]}};
init(tree) ->
    {ok, {#{strategy => one_for_one, intensity => 1, period => 5},
          [#{id => inner, start => {supervisor, start_link, [?MODULE, {one_for_one, [leaf]}]}, type => supervisor},
           child(side)]}}.

child(N) -> #{id => N, start => {?MODULE, start_worker, [N]}, shutdown => 100}.

start_worker(Name) -> {ok, proc_lib:spawn_link(?MODULE, worker, [Name])}.

worker(Name) ->
    catch register(Name, self()),
    receive stop -> ok end.
