# structs, protocols, behaviours, exceptions, inspect, strings, binaries, dates
defmodule :e_data do
  defmodule Point do
    defstruct x: 0, y: 0
    def add(%Point{x: a, y: b}, %Point{x: c, y: d}), do: %Point{x: a + c, y: b + d}
  end

  defmodule Secret do
    @derive {Inspect, only: [:name]}
    @enforce_keys [:name]
    defstruct [:name, :password]
  end

  defprotocol Area do
    @fallback_to_any true
    @doc "what it covers"
    def of(shape)
  end

  defimpl Area, for: Point do
    def of(_), do: 0
  end

  defimpl Area, for: [Tuple, List] do
    def of(t) when is_tuple(t), do: tuple_size(t)
    def of(l), do: length(l)
  end

  defimpl Area, for: Any do
    def of(x), do: {:any, x}
  end

  defimpl String.Chars, for: Point do
    def to_string(p), do: "(#{p.x}, #{p.y})"
  end

  defimpl Inspect, for: Area.Box do
    import Inspect.Algebra
    def inspect(b, opts), do: concat(["#Box<", to_doc(b.of, opts), ">"])
  end

  defmodule Area.Box do
    defstruct [:of]
  end

  defimpl Enumerable, for: Area.Box do
    def count(_), do: {:error, __MODULE__}
    def member?(_, _), do: {:error, __MODULE__}
    def slice(_), do: {:error, __MODULE__}
    def reduce(b, acc, f), do: Enumerable.List.reduce(b.of, acc, f)
  end

  defmodule Oops do
    defexception [:code, message: "it went wrong"]
  end

  defmodule Speaker do
    @callback speak(String.t()) :: String.t()
    @optional_callbacks whisper: 1
    @callback whisper(String.t()) :: String.t()
    defmacro __using__(opts) do
      quote do
        @behaviour unquote(__MODULE__)
        def speak(s), do: unquote(opts[:prefix]) <> s
        defoverridable speak: 1
      end
    end
  end

  defmodule Loud do
    use Speaker, prefix: "LOUD "
    def speak(s), do: super(String.upcase(s)) <> "!"
  end

  defmacrop twice(e), do: quote(do: {unquote(e), unquote(e)})

  def main do
    p %Point{x: 1}
    p Point.add(%Point{x: 1, y: 2}, %Point{x: 3, y: 4})
    p %{%Point{} | y: 9}.y
    p %Secret{name: "a", password: "b"}
    p "#{%Point{x: 5, y: 6}}"
    p Area.of(%Point{})
    p Area.of({1, 2, 3})
    p Area.of([1])
    p Area.of(1.5)
    p Area.impl_for(:x)
    p %Area.Box{of: [1, :two]}
    p Enum.map(%Area.Box{of: [1, 2]}, &(&1 + 1))
    p Loud.speak("hello")
    p twice(1 + 1)
    p (try do raise Oops, code: 7 rescue e in Oops -> {e.code, Exception.message(e)} end)
    p (try do raise "text" rescue e -> e end)
    p (try do throw(:ball) catch :throw, x -> x after IO.puts("after") end)
    p (try do exit({:shutdown, 1}) catch :exit, r -> r end)
    p (try do :erlang.error(:badarith) rescue e in ArithmeticError -> Exception.message(e) end)
    p (try do hd(id([])) rescue e in ArgumentError -> Exception.message(e) |> String.split("\n") |> hd() end)
    p (try do id(%{a: 1}).b rescue e in KeyError -> Exception.message(e) end)
    p (try do apply(:no_such_module, :f, []) rescue e in UndefinedFunctionError -> Exception.message(e) end)
    p (try do case id(3) do 4 -> 5 end rescue e in CaseClauseError -> Exception.message(e) end)
    p (try do %{} = id([]) rescue e in MatchError -> Exception.message(e) end)
    p (try do (fn 1 -> 2 end).(id(2)) rescue e in FunctionClauseError -> e.arity end)
    p (with {:ok, a} <- id({:ok, 1}), {:ok, b} <- id({:error, :no}) do a + b else {:error, e} -> {:failed, e} end)
    p (cond do id(false) -> 1; id(nil) -> 2; true -> 3 end)
    p get_in(%{a: [%{b: 1}, %{b: 2}]}, [:a, Access.all(), :b])
    p put_in(%{a: %{b: 1}}, [:a, :b], 2)
    p update_in(%{a: [1, 2]}, [:a, Access.at(1)], &(&1 * 100))
    p pop_in(%{a: %{b: 1, c: 2}}, [:a, :b])
    p [nil, true, :atom, :"odd atom", Elixir.Foo.Bar, ?a, 1.0e10, 1.0e-7, 123_456_789_012_345_678_901]
    p ["é", "a\nb", <<1, 2, 255>>, <<5::3>>, 'abc', "tab\t\"q\"", ~s(x "y"), <<0xF0>>]
    p {[a: 1, b: [c: 2]], %{"k" => 1, 3 => {}, a: 2}, [1 | 2], [], %{}}
    p inspect(Enum.to_list(1..60))
    p inspect(%{a: 1, b: [1, 2]}, pretty: true, width: 5)
    p inspect(String.duplicate("x", 60), printable_limit: 10)
    p inspect(Map.new(1..3, &{&1, &1}), limit: 2)
    p inspect(fn x -> x end) =~ "#Function<"
    p inspect(self()) =~ ~r/^#PID<0\.\d+\.\d+>$/
    p inspect(make_ref()) =~ "#Reference<"
    p String.split("a,b,,c", ",", trim: true)
    p String.graphemes("e\u0301a")
    p {String.length("żółw"), byte_size("żółw"), String.upcase("straße"), String.reverse("añb")}
    p String.normalize("e\u0301", :nfc) == "é"
    p String.replace("aXbX", "X", "-")
    p String.pad_leading("7", 3, "0")
    p String.to_integer("ff", 16)
    p Integer.digits(1234) |> Integer.undigits(7)
    p Float.round(2.71828, 2)
    p {Float.to_string(0.1), Float.parse("1.5abc"), Integer.parse("12x"), div(-7, 2), Integer.floor_div(-7, 2)}
    p Regex.scan(~r/(\w)(\d)/, "a1 b2")
    p Regex.named_captures(~r/(?<y>\d{4})-(?<m>\d\d)/, "on 2024-05-01")
    p Regex.replace(~r/\d+/, "a1b22", fn x -> "<#{x}>" end)
    p ~D[2024-02-28] |> Date.add(2)
    p Date.diff(~D[2024-03-01], ~D[2023-03-01])
    p DateTime.from_unix!(1_000_000_000) |> DateTime.to_iso8601()
    p NaiveDateTime.add(~N[2024-01-01 00:00:00], 3600)
    p Time.diff(~T[12:00:00], ~T[11:30:00])
    p Calendar.strftime(~U[2024-05-06 07:08:09Z], "%Y/%m/%d %H-%M-%S %a %B")
    p (quote do: 1 + foo(2, [a: b])) |> Macro.to_string()
    p Code.eval_string("a = 2; Enum.map([1, 2], &(&1 * a))") |> elem(0)
    <<len::16, body::binary-size(len), rest::bits>> = <<0, 3, "abc", 7, 8>>
    p {len, body, rest}
    p <<1.5::float-32, -1::signed-16, 1::little-32, "é"::utf16>>
    p :erlang.binary_to_term(:erlang.term_to_binary(%Point{x: 1}))
    p Enum.map([1, 2.0, :a, {}, [], "b"], &kind/1)
    p URI.parse("http://h:80/p?q=1#f").query
    p Base.encode64("hello") <> Base.encode16(<<255, 1>>)
    p Bitwise.bxor(5, 3)
    p Version.match?("1.2.3", "~> 1.1")
    p :lists.keysort(1, [{2, :b}, {1, :a}])
  end

  defp kind(x) when is_integer(x), do: :int
  defp kind(x) when is_float(x) or is_binary(x), do: :float_or_text
  defp kind(x) when is_struct(x), do: :struct
  defp kind(x) when x in [:a, {}], do: :listed
  defp kind(_), do: :other

  defp id(x), do: :erlang.element(1, {x})
  defp p(x), do: IO.puts(inspect(x))
end
