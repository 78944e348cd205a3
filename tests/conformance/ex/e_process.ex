# GenServer, Agent, Task, Registry, supervisors, processes
defmodule :e_process do
  defmodule Counter do
    use GenServer
    def start_link(opts), do: GenServer.start_link(__MODULE__, opts[:from] || 0, name: opts[:name] || __MODULE__)
    @impl true
    def init(n), do: {:ok, n, {:continue, :more}}
    @impl true
    def handle_continue(:more, n), do: {:noreply, n + 1}
    @impl true
    def handle_call(:get, _from, n), do: {:reply, n, n}
    def handle_call({:later, x}, from, n) do
      send(self(), {:answer, from, x})
      {:noreply, n}
    end
    def handle_call(:crash, _from, _n), do: raise("on purpose")
    @impl true
    def handle_cast({:add, k}, n), do: {:noreply, n + k}
    @impl true
    def handle_info({:answer, from, x}, n) do
      GenServer.reply(from, {:answered, x})
      {:noreply, n}
    end
    def handle_info(_, n), do: {:noreply, n}
    @impl true
    def terminate(reason, n), do: send(:e_process_main, {:terminated, reason, n})
  end

  def main do
    :logger.set_primary_config(:level, :none)
    Process.register(self(), :e_process_main)
    {:ok, pid} = Counter.start_link(from: 10)
    p Counter |> GenServer.call(:get)
    GenServer.cast(pid, {:add, 5})
    p GenServer.call(pid, :get)
    p GenServer.call(pid, {:later, :x})
    p GenServer.whereis(Counter) == pid
    p GenServer.stop(pid)
    receive do x -> p x after 1000 -> p :nothing end
    p catch_exit(fn -> GenServer.call(Counter, :get) end)
    p catch_exit(fn -> GenServer.call(spawn(fn -> Process.sleep(:infinity) end), :get, 10) end) |> elem(0)

    {:ok, agent} = Agent.start_link(fn -> %{} end)
    Agent.update(agent, &Map.put(&1, :a, 1))
    p Agent.get_and_update(agent, &{&1.a, Map.put(&1, :a, 2)})
    p Agent.get(agent, & &1)
    Agent.stop(agent)

    t = Task.async(fn -> Enum.sum(1..100) end)
    p Task.await(t)
    p Task.await_many(for i <- 1..3, do: Task.async(fn -> i * i end))
    p Task.async_stream(1..5, &(&1 * 2), max_concurrency: 2) |> Enum.to_list()
    p Task.yield(Task.async(fn -> Process.sleep(1000) end), 10)
    {:ok, sup} = Task.Supervisor.start_link()
    t = Task.Supervisor.async_nolink(sup, fn -> exit(:boom) end)
    p Task.yield(t, 1000)
    p Task.Supervisor.async_stream(sup, [1, 2], fn x -> x + 1 end) |> Enum.map(&elem(&1, 1))

    {:ok, _} = Registry.start_link(keys: :unique, name: R1)
    {:ok, _} = Registry.start_link(keys: :duplicate, name: R2)
    p Registry.register(R1, "me", :value) |> elem(0)
    p (case Registry.register(R1, "me", 2) do {:error, {:already_registered, q}} -> q == self() end)
    p Registry.lookup(R1, "me") |> Enum.map(&elem(&1, 1))
    {:ok, v} = Counter.start_link(name: {:via, Registry, {R1, "counter"}})
    p GenServer.call({:via, Registry, {R1, "counter"}}, :get)
    GenServer.stop(v)
    for i <- 1..3, do: Registry.register(R2, :topic, i)
    Registry.dispatch(R2, :topic, fn entries -> for {q, i} <- entries, do: send(q, {:got, i}) end)
    p (for _ <- 1..3, do: (receive do {:got, i} -> i after 500 -> :no end)) |> Enum.sort()
    p Registry.count(R2)

    children = [{Counter, name: C1}, Supervisor.child_spec({Counter, from: 7, name: C2}, id: :two)]
    {:ok, sup} = Supervisor.start_link(children, strategy: :one_for_one)
    p Supervisor.count_children(sup)
    old = Process.whereis(C2)
    ref = Process.monitor(old)
    Process.exit(old, :kill)
    receive do {:DOWN, ^ref, :process, ^old, r} -> p r end
    until(fn -> is_pid(Process.whereis(C2)) and Process.whereis(C2) != old end)
    p GenServer.call(C2, :get)
    p Supervisor.which_children(sup) |> Enum.map(&elem(&1, 0)) |> Enum.sort()
    Supervisor.stop(sup)
    flush()

    {:ok, dyn} = DynamicSupervisor.start_link(strategy: :one_for_one)
    {:ok, c} = DynamicSupervisor.start_child(dyn, {Counter, from: 1, name: C3})
    p DynamicSupervisor.count_children(dyn).active
    p DynamicSupervisor.terminate_child(dyn, c)
    flush()
    p DynamicSupervisor.count_children(dyn).active

    me = self()
    spawn(fn -> send(me, {:hello, 1}) end)
    receive do {:hello, n} when n > 0 -> p n after 1000 -> p :late end
    Process.flag(:trap_exit, true)
    q = spawn_link(fn -> raise ArgumentError, "linked" end)
    receive do {:EXIT, ^q, {e, _}} -> p e end
    Process.put(:k, 1)
    p {Process.get(:k), Process.delete(:k), Process.get(:k, :none)}
    timer = Process.send_after(self(), :tick, 5)
    p is_reference(timer)
    receive do :tick -> p :tick after 1000 -> p :late end
    p Process.alive?(spawn(fn -> :ok end)) in [true, false]
    p Node.self()
    :ets.new(:e_tab, [:named_table, :ordered_set])
    :ets.insert(:e_tab, for(i <- 1..5, do: {i, i * i}))
    p :ets.select(:e_tab, [{{:"$1", :"$2"}, [{:>, :"$2", 8}], [:"$1"]}])
    p :persistent_term.put({:e, 1}, [1, 2])
    p :persistent_term.get({:e, 1})
  end

  defp until(f), do: if(f.(), do: :ok, else: (Process.sleep(2); until(f)))
  defp flush, do: (receive do _ -> flush() after 0 -> :ok end)
  defp catch_exit(f) do
    f.()
  catch
    :exit, r -> r
  end

  defp p(x), do: IO.puts(inspect(x))
end
