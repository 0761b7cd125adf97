local date = require("llama_cloud.http.date")
local locale = require("spec.support.locale")

-- The last time that os.date can tell, up to a hundred years and some: that of 32 bits ends in 2038.
local LAST = pcall(os.date, "!%Y", 3801600000) and 3801600000 or 2147483647

describe("date.parse", function()
  it("reads what the API writes", function()
    assert.equal(1577470279, date.parse("2019-12-27T18:11:19Z"))
    assert.equal("integer", math.type(date.parse("2019-12-27T18:11:19Z")))
    assert.near(1577470279.117, date.parse("2019-12-27T18:11:19.117Z"), 1e-6)
  end)

  it("takes any number of fractional digits, after a point or a comma", function()
    assert.equal(0.5, date.parse("1970-01-01T00:00:00.5Z"))
    assert.equal(0.5, date.parse("1970-01-01T00:00:00,5Z"))
    assert.near(0.123456, date.parse("1970-01-01T00:00:00.123456Z"), 1e-12)
    assert.near(0.123456789, date.parse("1970-01-01T00:00:00.123456789Z"), 1e-12)
    assert.near(1 / 3, date.parse("1970-01-01T00:00:00." .. ("3"):rep(40) .. "Z"), 1e-12)
  end)

  it("takes offsets, and UTC where there is none", function()
    assert.equal(0, date.parse("1970-01-01T00:00:00"))
    assert.equal(0, date.parse("1970-01-01T02:00:00+02:00"))
    assert.equal(0, date.parse("1970-01-01T02:00:00+0200"))
    assert.equal(0, date.parse("1969-12-31T18:30:00-05:30"))
    assert.equal(0, date.parse("1970-01-01t00:00:00z"))
    assert.equal(0, date.parse("1970-01-01 00:00:00+00:00"))
  end)

  it("takes a date alone as its midnight", function()
    assert.equal(86400, date.parse("1970-01-02"))
  end)

  it("knows the calendar", function()
    assert.equal(951782400, date.parse("2000-02-29")) -- divisible by 400
    assert.equal(1709164800, date.parse("2024-02-29"))
    assert.equal(date.parse("2024-02-29") + 86400, date.parse("2024-03-01"))
    assert.equal(-86400, date.parse("1969-12-31"))
    assert.equal(4102444800, date.parse("2100-01-01"))
    assert.equal(253402300799, date.parse("9999-12-31T23:59:59Z"))
    assert.equal(date.parse("2024-01-02"), date.parse("2024-01-01T24:00:00Z"))
    assert.equal(date.parse("2017-01-01"), date.parse("2016-12-31T23:59:60Z")) -- a leap second
  end)

  it("agrees with os.date on every day of 130 years", function()
    local wrong
    for day = -3650, LAST // 86400 do
      local time = day * 86400
      local text = os.date("!%Y-%m-%d", time)
      wrong = wrong or date.parse(text) ~= time and text
    end
    assert.is_false(wrong)
  end)

  it("does not depend on the locale's decimal point", function()
    local output = locale.run(
      ",",
      [[
      io.write(tostring(require("llama_cloud.http.date").parse("1970-01-01T00:00:00.5Z") == 1 / 2))]]
    )
    if not output then
      pending("no such locale can be made here")
    end
    assert.equal("true", output)
  end)

  it("returns nil for everything else", function()
    for _, text in ipairs {
      "",
      "now",
      "2024",
      "2024-01",
      "2024-1-1",
      "2024-13-01",
      "2024-00-01",
      "2024-01-00",
      "2024-01-32",
      "2024-04-31",
      "2023-02-29",
      "2100-02-29",
      "2024-01-01T",
      "2024-01-01T10",
      "2024-01-01T10:00",
      "2024-01-01T24:00:01Z",
      "2024-01-01T24:30:00Z",
      "2024-01-01T25:00:00Z",
      "2024-01-01T10:60:00Z",
      "2024-01-01T10:00:61Z",
      "2024-01-01T10:00:00.Z",
      "2024-01-01T10:00:00X",
      "2024-01-01T10:00:00+2",
      "2024-01-01T10:00:00+24:00",
      "2024-01-01T10:00:00+02:60",
      "2024-01-01T10:00:00Z ",
      " 2024-01-01T10:00:00Z",
      "2024-01-01T10:00:00Z\n",
      "20240101T100000Z",
    } do
      assert.is_nil(date.parse(text), text)
    end
  end)
end)

describe("date.format", function()
  it("writes the API's spelling", function()
    assert.equal("1970-01-01T00:00:00.000Z", date.format(0))
    assert.equal("2019-12-27T18:11:19.117Z", date.format(1577470279.117))
    assert.equal("2019-12-27T18:11:19.000Z", date.format(1577470279))
    assert.equal("1969-12-31T23:59:59.500Z", date.format(-0.5))
  end)

  it("carries what rounds up to a whole second", function()
    assert.equal("1970-01-01T00:00:01.000Z", date.format(0.9996))
  end)

  it("writes what parse reads", function()
    for _, time in ipairs { 0, 1, 0.25, 1e9, 1577470279.125, -86400, 253402300799 } do
      assert.equal(time, date.parse(date.format(time)))
    end
  end)

  it("agrees with parse on days of 600 years", function()
    local wrong
    for day = -110000, 110000, 13 do
      local time = day * 86400 + day % 86400
      wrong = wrong or date.parse(date.format(time)) ~= time and time
    end
    assert.is_false(wrong)
    assert.equal("2100-03-01T00:00:00.000Z", date.format(4107542400))
    assert.equal("9999-12-31T23:59:59.999Z", date.format(253402300799.999))
    assert.equal("2000-02-29T12:00:00.000Z", date.format(951825600))
  end)
end)

describe("date.parse_http", function()
  it("reads HTTP's preferred form", function()
    assert.equal(784111777, date.parse_http("Sun, 06 Nov 1994 08:49:37 GMT"))
    assert.equal(0, date.parse_http("Thu, 01 Jan 1970 00:00:00 GMT"))
  end)

  it("agrees with os.date on every month", function()
    local wrong
    for month = 0, LAST // 2629746 do
      local time = month * 2629746
      local text = os.date("!%a, %d %b %Y %H:%M:%S GMT", time)
      wrong = wrong or date.parse_http(text) ~= time and text
    end
    assert.is_false(wrong)
  end)

  it("returns nil for everything else", function()
    for _, text in ipairs {
      "",
      "soon",
      "120",
      "Sun, 06 Nov 1994 08:49:37",
      "Sun, 06 Nov 1994 08:49:37 CET",
      "Sun, 32 Nov 1994 08:49:37 GMT",
      "Sun, 06 Foo 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 28:49:37 GMT",
      "1994-11-06T08:49:37Z",
    } do
      assert.is_nil(date.parse_http(text), text)
    end
  end)
end)
